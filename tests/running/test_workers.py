import pytest

from harness.core.errors import UserError
from harness.running.workers import choose_workers, run_batches


def test_every_batch_is_done_once_whatever_the_number_of_workers(tmp_path):
    for workers in (1, 2, 5):
        folder = tmp_path / str(workers)
        folder.mkdir()
        done = list(run_batches(lambda i, f=folder: (f / str(i)).touch(exist_ok=False), range(7), workers))
        assert sorted(done) == list(range(7))
        assert len(list(folder.iterdir())) == 7


def test_an_accelerator_is_never_forked():
    assert choose_workers(None, "cuda", 1.0) == choose_workers(1, "mps", 1.0) == 1
    with pytest.raises(UserError, match="--workers 2 on cuda"):
        choose_workers(2, "cuda", 1.0)
    assert choose_workers(None, "cpu", 0.01) >= 1 and choose_workers(3, "cpu", 1e9) == 3
    assert choose_workers(None, "cpu", 1e9) == 1
