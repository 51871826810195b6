"""What the Python scripts check with."""


def equal(got, wanted):
    """Fails unless both are the same, in type too: 1 is neither True nor 1.0 nor b"1"."""
    assert got == wanted and repr(type(got)) == repr(type(wanted)), f"{got!r}, wanted {wanted!r}"


def refused(call, *arguments, because):
    """Fails unless the server answers with an error that holds these words."""
    from redis.exceptions import ResponseError

    try:
        got = call(*arguments)
    except ResponseError as error:
        assert because in str(error), f"{error}, wanted {because}"
    else:
        raise AssertionError(f"{arguments} was answered with {got!r}")
