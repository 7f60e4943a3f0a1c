import pytest

from . import factory


@pytest.fixture
def trials():
    """Three seeds of six scenarios, one of which failed."""
    bad = factory.trial("ner_head_frozen", 1, status="diverged: the loss is inf at step 12")
    return [bad if trial.key == bad.key else trial for trial in factory.all_trials()]


@pytest.fixture
def suite(trials):
    return factory.suite(trials)
