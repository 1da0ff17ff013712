"""The error tree. A branch says whose fault it was; a leaf says what happened.

    CxrError
    ├── SenderError               whoever sent the picture can mend it
    │   ├── Unauthorized              a key is needed, and none or a wrong one came
    │   ├── MalformedRequest          no file, an empty file, a broken form
    │   ├── TooManyBytes              larger than this service takes
    │   ├── TooManyPixels             larger than this service decodes
    │   ├── UnsupportedImageType      the bytes are of no type that is taken
    │   ├── WrongModality             a DICOM file of no projection X-ray
    │   ├── UnusableImage             a type that is taken, but broken or of several frames
    │   └── NotAChestXray             a picture, but of something else
    ├── OperatorError             whoever runs the command can mend it
    │   ├── CheckpointError           a model file that cannot be used
    │   │   ├── CheckpointMissing         no such file
    │   │   ├── CheckpointCorrupt         not readable as what it claims to be
    │   │   ├── CheckpointRefused         readable, but unsafe or another than demanded
    │   │   └── NotExplainable            it can be served, but not say where it looked
    │   ├── AdoptionError             a checkpoint whose preprocessing cannot be told yet
    │   ├── DatasetError              a folder of X-rays that cannot be trained on
    │   ├── TrainingError             settings or weights that training cannot use
    │   ├── ScoringError              an archive or a table that cannot be worked on
    │   ├── EngineError               a device that is not to be had, or an engine that fails
    │   ├── ReloadFailed              a new checkpoint that cannot take the place of the old
    │   └── SettingsError             a CXR_ variable with a value that is not allowed
    └── TemporaryError            nobody's fault; worth another try
        ├── NotReady                  the model is still loading, or the service is leaving
        ├── TooManyConnections        only probes are answered beyond so many
        ├── DecodingStopped           the machine ended what decodes, or has no memory for it
        ├── InferenceStopped          the model answers no more; it is started anew
        ├── ReloadUnderWay            another new checkpoint is being loaded
        └── DeadlineExceeded          the answer took longer than is allowed

Messages are written for the person at fault and never hold pixels, file contents or the
sender's file name. Beside the tree stands `app.inference.batching.QueueFull`:
batching knows nothing of ours.
"""


class CxrError(Exception):
    """The root: everything that this project raises on purpose."""


class SenderError(CxrError):
    """The request or the picture in it cannot be answered as it is."""


class Unauthorized(SenderError):
    """A key is needed, and none or a wrong one came."""


class MalformedRequest(SenderError):
    """The request itself is broken: no file, an empty file, a form that does not parse."""


class TooManyBytes(SenderError):
    """The upload is larger than the service takes."""


class TooManyPixels(SenderError):
    """The picture's header declares more pixels than are decoded; none was decoded."""


class UnsupportedImageType(SenderError):
    """The first bytes are of no image type that is taken."""


class WrongModality(SenderError):
    """A DICOM file of another modality than projection X-ray; the message names it."""


class UnusableImage(SenderError):
    """An image type that is taken, but this one is truncated, corrupt or has several frames."""


class NotAChestXray(SenderError):
    """The gate's `score` of this picture lies above its `threshold`."""

    def __init__(self, score: float, threshold: float) -> None:
        super().__init__(
            f"This does not look like a frontal chest X-ray: its distance from those that the "
            f"model knows is {score:.2f}, and up to {threshold:.2f} is answered."
        )
        self.score = score
        self.threshold = threshold


class OperatorError(CxrError):
    """Files or settings of whoever runs the command are wrong."""


class CheckpointError(OperatorError):
    """A checkpoint cannot be served or evaluated."""


class CheckpointMissing(CheckpointError):
    """There is no file at the checkpoint's path."""


class CheckpointCorrupt(CheckpointError):
    """The file is no HDF5, or its parts do not fit together."""


class CheckpointRefused(CheckpointError):
    """The file may be intact, but holds what must not be loaded, or is not the one demanded."""


class NotExplainable(CheckpointError):
    """The network classifies, but its layers do not let its heat map be computed."""


class AdoptionError(OperatorError):
    """How a checkpoint's author prepares pictures cannot be told from what was said of it."""


class DatasetError(OperatorError):
    """The data folder lacks a split or a class, or holds a file that cannot be read."""


class TrainingError(OperatorError):
    """Training was asked for something that it cannot do, or given weights that do not fit."""


class ScoringError(OperatorError):
    """An archive of pictures is not there, or its table cannot be begun or gone on with."""


class EngineError(OperatorError):
    """The device that the settings demand is not there, or the engine gives no answer."""


class ReloadFailed(OperatorError):
    """A new checkpoint cannot take the place of the one that is served, which goes on."""


class SettingsError(OperatorError):
    """A setting has a value that is not allowed."""


class TemporaryError(CxrError):
    """The service cannot answer now; the same request may be answered later."""


class NotReady(TemporaryError):
    """The model is not loaded yet, or the service is draining."""


class TooManyConnections(TemporaryError):
    """As many clients are connected as are allowed to."""


class InferenceStopped(TemporaryError):
    """What runs the model answers no more; it is started anew, or the service says so."""


class DecodingStopped(TemporaryError):
    """The machine ended the process that decodes a picture, or has no memory or time for it."""


class ReloadUnderWay(TemporaryError):
    """Another new checkpoint is being loaded at this moment."""


class DeadlineExceeded(TemporaryError):
    """No answer within the time that a request is given."""


def public_message(error: Exception) -> str:
    """What anybody may be told of `error`; a bug's own words are for the log."""
    return str(error) if isinstance(error, CxrError) else "a fault of the service; see its log"
