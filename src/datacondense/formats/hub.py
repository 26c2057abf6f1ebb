"""Push a set to the Hugging Face hub."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..evaluation.scores import Scores
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError, reason
from .accuracies import Accuracies
from .exporting import export


def push_to_hub(
    synthetic: SyntheticSet,
    repo: str,
    *,
    scores: Scores | Mapping[str, Accuracies] | None = None,
    licence: str = "unknown",
    private: bool = False,
    token: str | None = None,
    endpoint: str | None = None,
    message: str = "A condensed set of datacondense",
) -> str:
    """Push a set to the Hugging Face hub as a data set, which `datasets.load_dataset` reads.

    The files are those of `export` to "hf", in one commit. A new repository is made if there is none.

    Args:
        synthetic: The set.
        repo: OWNER/NAME.
        scores: The result of `evaluate`, or network -> accuracies (fractions), for the card.
        licence: Licence in the card.
        private: Make a new repository that others cannot see, and push to no other. False leaves a new one at the
            default of its owner, which is public unless an organisation chose otherwise.
        token: Access token with the right to write; by default that of `hf auth login`.
        endpoint: Address of another hub.
        message: Message of the commit.

    Returns:
        The address of the commit.

    Raises:
        InputError: The set is invalid, the hub does not take it, or `private` is asked of a public repository.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise InputError("this needs huggingface_hub: pip install huggingface_hub") from None
    with tempfile.TemporaryDirectory(prefix="datacondense-") as folder:
        export(synthetic, "hf", Path(folder, "set"), scores=scores, licence=licence)
        try:
            api = huggingface_hub.HfApi(endpoint=endpoint, token=token)
            # an organisation may make new repositories private by default, which False would override
            api.create_repo(repo, repo_type="dataset", private=True if private else None, exist_ok=True)
            if private and not api.repo_info(repo, repo_type="dataset").private:  # it was there before
                raise InputError(
                    f"{repo} is public, and nothing was pushed: make it private on the hub, or name another"
                )
            commit = api.upload_folder(
                repo_id=repo, repo_type="dataset", folder_path=str(Path(folder, "set")), commit_message=message
            )
        except InputError:
            raise
        except Exception as error:  # the library raises errors of many types
            raise InputError(f"the hub did not take {repo}: {reason(error)}") from None
    return str(commit.commit_url)
