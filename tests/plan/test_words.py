from mtlab.plan.words import counted


def test_one_is_one() -> None:
    assert [counted(number, "trial") for number in (0, 1, 2, 2000)] == [
        "0 trials",
        "1 trial",
        "2 trials",
        "2,000 trials",
    ]
