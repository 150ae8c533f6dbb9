"""Makes `tests` a package: dcase_util, which the extra "events" draws in, installs one of this name."""
