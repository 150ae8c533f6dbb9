"""scikit-learn estimators that plugins use: whatever is fitted inside a training part knows the clips' groups.

They are imported by their modules' names, so that a saved model finds them again.
"""
