"""The form at the admin's door: one answer to whatever is wrong, so that it tells nobody who has an account.

How often one may try is `cloud.access.sign_in_limits`' affair. Named by the settings. Tests:
tests/integration/cloud/access/test_sign_in_limits.py.
"""

from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """An email address and a password."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The email address or the password is wrong, or there were too many tries: "
        "then it helps to wait a quarter of an hour.",
    }
