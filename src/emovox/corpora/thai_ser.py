"""THAI SER: acted Thai speech of 200 actors, in studios and over Zoom, judged by listeners."""

import re
from collections import Counter
from pathlib import Path

from emovox.corpora.clips import GENDERS, NOT_THERE, Clip, CorpusListing
from emovox.corpora.folders import find_recordings
from emovox.corpora.tables import read_json
from emovox.errors import CorpusError
from emovox.labels import map_label

_LABELS = "emotion_label.json"
_ACTORS = "actor_demography.json"
_NAME = re.compile(r"[sz][0-9]{3}_[a-z]+_actor([0-9]{3})_(?:script|impro).*")


def list_thai_ser(folder: Path) -> CorpusListing:
    """List the recordings in THAI SER's ``emotion_label.json``, by what most listeners heard.

    A name is ``s001_con_actor001_impro1_1``: studio (``s``) or Zoom (``z``), microphone, actor,
    scripted or improvised turn. The file names one microphone's recording of each utterance; those
    of the others are not used. Layout: https://github.com/vistec-AI/dataset-releases/releases/tag/v1
    and https://huggingface.co/datasets/airesearch/thai-ser.

    Args:
        folder: The folder with the JSON files, and with the recordings anywhere below it.

    Returns:
        The clips in the order of the file, without those whose listeners chose no emotion, or
        another one than the five; none without the file.

    Raises:
        CorpusError: A JSON file cannot be read or has another form.
    """
    if not (folder / _LABELS).is_file():
        return CorpusListing("thai-ser", folder, ())
    genders = _read_genders(folder / _ACTORS)
    recordings = find_recordings(folder)
    clips: dict[str, Clip] = {}
    skipped: Counter[str] = Counter()
    labels = read_json(folder / _LABELS, of="THAI SER's labels")
    for file, judged in labels.items():
        stem = Path(file).stem
        name = _NAME.fullmatch(stem)
        try:
            label = map_label(str(judged[0]["majority_emo"]))
        except (LookupError, TypeError):
            label = ""
        if name is None or not label:
            raise CorpusError(
                f"{folder / _LABELS}: found {file!r}; expected THAI SER's labels: names such as "
                "s001_con_actor001_impro1_1.flac, each with a majority_emo"
            )
        if label in ("none", "other"):
            skipped["no majority for one of the emotions"] += 1
        elif stem not in recordings:
            skipped[NOT_THERE.format(_LABELS)] += 1
        else:
            clips[stem] = Clip(
                name=f"thai-ser-{stem}",
                path=recordings[stem],
                corpus="thai-ser",
                emotion=label,
                speaker=f"thai-ser-{name[1]}",
                gender=genders.get(name[1]),
            )
    n_others = len(recordings.keys() - {Path(file).stem for file in labels})
    if n_others:
        skipped["without a label, such as other microphones"] = n_others
    return CorpusListing("thai-ser", folder, tuple(clips.values()), tuple(skipped.items()))


def _read_genders(path: Path) -> dict[str, str | None]:
    """Return the actors' genders by number; none without the file."""
    if not path.is_file():
        return {}
    actors = read_json(path, of="THAI SER's actors")
    try:
        return {str(a["Actor's ID"]): GENDERS.get(a["Sex"].lower()) for a in actors["data"]}
    except (LookupError, TypeError, AttributeError):
        raise CorpusError(
            f"{path}: found another form; expected THAI SER's actors: data, with Actor's ID and Sex"
        ) from None
