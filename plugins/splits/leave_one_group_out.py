"""Leave-one-group-out cross-validation."""

from audiofw import hookimpl


@hookimpl
def register_splits(register):
    register(leave_one_group_out)


def leave_one_group_out(groups):
    """Test on each group (recording, animal, speaker) once, training on all the others."""
    from sklearn.model_selection import LeaveOneGroupOut

    return LeaveOneGroupOut()
