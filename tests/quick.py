"""Options that make the built-in models fast, for tests of something else."""

MEMBERS = {"members": ["lda", "lightgbm"], "lightgbm": {"n_estimators": 20}}

QUICK = {
    **{name: {"n_estimators": 20} for name in ("lightgbm", "xgboost", "sklearn_gbm", "extra_trees", "random_forest")},
    "hist_gbm": {"max_iter": 20},
    "catboost": {"iterations": 20},
    "vote": MEMBERS,
    "stack": {**MEMBERS, "n_splits": 2},
}
"""Model name -> options."""
