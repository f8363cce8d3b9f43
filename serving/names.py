"""Names of applications and deployments on Ray Serve; a model's application is named by `core.spec.app_name`."""

from typing import Final

MODEL_PREFIX: Final = "model-"
MODEL_DEPLOYMENT: Final = "Model"
GATEWAY_APP: Final = "gateway"
GATEWAY_DEPLOYMENT: Final = "Gateway"
SCORERS_APP: Final = "scorers"
SCORERS_DEPLOYMENT: Final = "Scorers"
