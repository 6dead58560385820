from local_daemon.protocol import enrollment


def test_what_is_signed_to_enroll_holds_the_code_only_as_a_digest() -> None:
    message = enrollment.enroll_message(code="RW-SECRET", public_key="key")
    assert b"SECRET" not in message
    assert message != enrollment.enroll_message(code="RW-OTHER", public_key="key")
    assert message != enrollment.enroll_message(code="RW-SECRET", public_key="other")


def test_a_proof_made_for_one_purpose_is_worth_nothing_for_another() -> None:
    messages = {
        enrollment.enroll_message(code="1", public_key="key"),
        enrollment.register_message(public_key="key", issued_at=1),
        enrollment.register_message(public_key="key", issued_at=2),
    }
    assert len({message.split(b"\n")[0] for message in messages}) == 2
    assert len(messages) == 3
