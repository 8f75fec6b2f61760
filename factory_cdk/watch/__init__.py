"""Watch: while its code is edited, a stage that is at work changes to what was saved last."""
