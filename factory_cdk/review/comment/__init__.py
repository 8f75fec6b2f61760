"""A report as the comment on a pull request (GitHub) or merge request (GitLab), made once and updated in place.

`python -m factory_cdk.review.comment --host github FILE` is what `action.yml` runs, and `ci/gitlab-review.yml` with
`--host gitlab`.
"""
