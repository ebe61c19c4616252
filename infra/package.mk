# Packaging and validation with AWS SAM. Included by the Makefile. AWS SAM pins its own boto3, so it has an environment
# and a lock of its own.
SAM_ENV := .tools/sam
SAM := SAM_CLI_TELEMETRY=0 $(SAM_ENV)/bin/sam
SAM_PYTHON := $(abspath $(SAM_ENV)/bin/python)
SAM_REGION ?= us-east-1
ARCHITECTURE ?= arm64
BUILD_DIR ?= .aws-sam/build

.PHONY: package validate sam-lock

package: $(SAM_ENV)/.stamp processor/requirements.txt  ## build the function's package with AWS SAM into .aws-sam/build
	PYTHON=$(SAM_PYTHON) ARCHITECTURE=$(ARCHITECTURE) COMPILE_WITH=$(COMPILE_WITH) $(SAM) build \
	  --template infra/template.yaml --build-dir $(BUILD_DIR) --region $(SAM_REGION) \
	  --parameter-overrides Architecture=$(ARCHITECTURE)

validate: $(SAM_ENV)/.stamp  ## let AWS SAM and its cfn-lint check the template
	$(SAM) validate --lint --template infra/template.yaml --region $(SAM_REGION)

$(SAM_ENV)/.stamp: infra/sam.lock
	@echo "creating $(SAM_ENV) from infra/sam.lock (about a minute the first time)"
	@$(PYTHON) -m venv --clear $(SAM_ENV)
	@$(SAM_ENV)/bin/pip install --quiet --no-deps --require-hashes --requirement infra/sam.lock
	@touch $@

processor/requirements.txt: requirements.lock infra/packaging.py
	$(PYTHON) -m infra.packaging

sam-lock:  ## resolve infra/sam.in again into infra/sam.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make sam-lock" --quiet infra/sam.in -o infra/sam.lock
