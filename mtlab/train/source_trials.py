"""The checkpoints that staged experiments start from: trained once a seed on source data, and kept
under their content keys.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mtlab.model import freezing
from mtlab.model.network import Network
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import START
from mtlab.plan.scenario import Trial, content_key
from mtlab.record.journal import Journal
from mtlab.record.records import TrialRecord
from mtlab.train.cache.prefix import Prefixes
from mtlab.train.continual import forgetting
from mtlab.train.prepare import Prepared
from mtlab.train.runtime import Runtime
from mtlab.train.state import Advance
from mtlab.train.trial import run_trials
from mtlab.train.weights.source_checkpoint import Checkpoint, load, save


@dataclass
class Starts:
    """The checkpoints of a suite, each made when it is first needed.

    Attributes:
        runtime: device, precision and threads.
        journal: where records and weights go.
        prefixes: the cache of frozen prefixes' states; it learns here which ones trials will need.
        advance: is called with the FLOPs of what was just done.
        say: tells the user.
        ended: is called with the record of a trial that trained a checkpoint.
        ready: keys of the trials whose weights are on disk.
        failed: keys of the trials that failed, each with the reason.
    """

    runtime: Runtime
    journal: Journal
    prefixes: Prefixes | None
    advance: Advance
    say: Callable[[str], None]
    ended: Callable[[TrialRecord], None]
    ready: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def make_ready(self, prepared: Prepared, seed: int) -> str | None:
        """Make the checkpoint ready from which trials of this seed start: it is read back if an
        earlier run trained it with everything the same, and trained otherwise.

        Returns:
            Why it could not be trained; None if it is ready, or none is needed.
        """
        if prepared.source is None or seed in prepared.checkpoints:
            return None
        trial = Trial(START, seed)
        key = prepared.source.key(trial, self.runtime)
        file = self.journal.directory / "checkpoints" / f"{key[:16]}.safetensors"
        network = self._read_back(prepared.source, trial, key, file)
        if network is None and key not in self.failed:
            network = self._train(prepared.source, trial, key, file)
        if network is None:
            return self.failed[key]
        self.ready.add(key)
        digests = freezing.digests(network)
        source, target = (
            forgetting.look(network, data, self.runtime, 0, domain)
            for data, domain in ((prepared.source, "source"), (prepared, "target"))
        )
        prepared.checkpoints[seed] = Checkpoint(key, file, digests, source, target.score)
        if self.prefixes is not None:
            self.prefixes.expect(prepared, digests)
        return None

    def _train(self, source: Prepared, trial: Trial, key: str, file: Path) -> Network | None:
        (run,) = run_trials(
            source, [trial], self.runtime, self.journal, self.prefixes, self.advance, self.say
        )
        self.ended(run.record)
        if not run.record.ok:
            self.failed[key] = f"no checkpoint to start from: {run.record.ending}"
            return None
        self.runtime.processes.once(lambda: save(run.network, file))
        self.say(
            f"checkpoint of seed {trial.seed} trained on {source.experiment.data.title}: {file}"
        )
        return run.network

    def _read_back(self, source: Prepared, trial: Trial, key: str, file: Path) -> Network | None:
        """The network that an earlier run trained; None if its record or its weights are missing,
        or the weights do not have the digest in the record.
        """
        record = self.journal.find(key)
        if record is None or not record.ok or not self.runtime.processes.once(file.exists):
            return None
        network = source.fresh_network(trial.seed, self.runtime.device)
        try:
            load(network, file)
        except UserError:
            self.say(f"{file} cannot be read; the checkpoint is trained again")
            return None
        if content_key(freezing.digests(network)) != record.final_digest:
            self.say(f"{file} is not what its record says; the checkpoint is trained again")
            return None
        return network
