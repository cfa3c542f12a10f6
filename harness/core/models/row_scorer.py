"""Log-probabilities of given texts, followed chunk by chunk over transformers' own cache: the guides of weak-to-strong.

scorer = RowScorer(model, ids, mask)         # behind left-padded prompts, a row each
scorer.advance(tokens, mask)                 # (rows, n) log-probabilities in nats
"""

import torch
from transformers import PreTrainedModel

from harness.core.errors import UserError
from harness.core.models.row_cache import cache_argument, keeps_states, new_cache, positions, states_alone


class RowScorer:
    """A `TokenScorer`. A chunk is read in one pass, ragged rows by their mask; token by token where states are kept.

    A state cannot be read from the middle of a chunk, so a model that keeps some is fed single tokens.
    """

    @torch.inference_mode()
    def __init__(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, context: int | None) -> None:
        """Starts behind left-padded prompts (rows, longest); mask bool, True where there is a token.

        `context` is the most tokens that the model reads; longer texts raise UserError.
        """
        self._model, self._context = model, context
        self._cache, self._mask = new_cache(model, whole=False), mask.new_zeros(len(ids), 0)
        self._one_by_one, self._states_alone = keeps_states(self._cache), states_alone(self._cache)
        self._next = self._read(ids, mask, last_only=True)[:, -1]  # (rows, V) logits behind each row's last token

    @torch.inference_mode()
    def advance(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self._one_by_one and tokens.shape[1] > 1:
            columns = zip(tokens.split(1, dim=1), mask.split(1, dim=1), strict=True)
            return torch.cat([self.advance(column, seen) for column, seen in columns], 1)
        logits = self._read(tokens, mask)
        before = torch.cat([self._next[:, None], logits[:, :-1]], 1)  # what each token was predicted by
        chosen = before.gather(2, tokens[..., None])[..., 0] - before.logsumexp(-1)
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
        rows = torch.arange(len(tokens), device=mask.device)
        self._next = torch.where(mask.any(1)[:, None], logits[rows, last], self._next)
        return chosen.masked_fill(~mask, 0.0)

    @torch.inference_mode()
    def reorder(self, index: torch.Tensor) -> None:
        self._cache.reorder_cache(index)  # type: ignore[arg-type]  # a LongTensor by its dtype
        self._mask, self._next = self._mask[index], self._next[index]

    def _read(self, tokens: torch.Tensor, mask: torch.Tensor, last_only: bool = False) -> torch.Tensor:
        """(rows, n, V) float32 logits behind each token; those of padding mean nothing."""
        self._mask = torch.cat([self._mask, mask], 1)
        if self._context is not None and self._mask.shape[1] > self._context:  # else it is shorter, without looking
            self._require_room(self._context)
        out = self._model(
            input_ids=tokens,
            attention_mask=(mask if self._states_alone else self._mask).long(),
            position_ids=positions(self._mask)[:, -tokens.shape[1] :],
            use_cache=True,
            logits_to_keep=1 if last_only else 0,
            **{cache_argument(self._model): self._cache},
        )
        logits: torch.Tensor = out.logits.float()
        return logits

    def _require_room(self, context: int) -> None:
        if (longest := int(self._mask.sum(1).max())) > context:
            raise UserError(
                f"a text of {longest} tokens is longer than the {context} that the guiding model "
                f"({type(self._model).__name__}) reads. Shorten prompts or sampler.max_new_tokens, or choose another"
            )
