"""What the manifests for Kubernetes run is what this command line, this Ray and KubeRay accept."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from tempo.cli.main import parser_of
from tempo.cli.ray_application import parse
from tempo.errors import UsageError

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def manifest(name):
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_the_batch_job_runs_a_command_that_is_accepted():
    verb, *arguments = shlex.split(manifest("ray-batch.yaml")["spec"]["entrypoint"])[1:]
    args = parser_of(verb).parse_args(arguments)
    assert (verb, args.ray, args.workers) == ("batch", "auto", 8)


def test_the_service_deploys_an_application_that_is_accepted():
    schema = pytest.importorskip("ray.serve.schema")
    config = yaml.safe_load(manifest("ray-serve.yaml")["spec"]["serveConfigV2"])
    (application,) = schema.ServeDeploySchema(**config).applications
    assert application.import_path == "tempo.cli.ray_application:build"
    args = parse(application.args["options"])
    assert (args.min_workers, args.max_workers, args.gpus_per_worker) == (1, 8, 1)


@pytest.mark.parametrize("name", ["ray-batch.yaml", "ray-serve.yaml"])
def test_kuberay_knows_every_field(name):
    jsonschema = pytest.importorskip("jsonschema")
    resource = manifest(name)
    assert resource["apiVersion"] == "ray.io/v1"
    schema = json.loads(Path(__file__).with_name("kuberay.json").read_text(encoding="utf-8"))
    jsonschema.validate(resource["spec"], schema | {"$ref": f"#/$defs/{resource['kind']}"})


@pytest.mark.parametrize("name", ["ray-batch.yaml", "ray-serve.yaml"])
def test_kubernetes_knows_every_field_of_the_pods(name):
    validator = pytest.importorskip("kubernetes_validate", reason="large, and no part of the environment")
    spec = manifest(name)["spec"]
    cluster = spec.get("rayClusterSpec") or spec["rayClusterConfig"]
    for pods in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        resource = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}}
        validator.validate(resource | {"template": pods["template"]}, "1.33", strict=True)


@pytest.mark.parametrize("name", ["ray-batch.yaml", "ray-serve.yaml"])
def test_a_worker_fits_a_machine_and_the_machines_are_as_many(name):
    spec = manifest(name)["spec"]
    cluster = spec.get("rayClusterSpec") or spec["rayClusterConfig"]
    text = (
        spec.get("entrypoint") or yaml.safe_load(spec["serveConfigV2"])["applications"][0]["args"]["options"]
    )
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    given = dict(zip(shlex.split(text)[:-1], shlex.split(text)[1:], strict=True))
    assert given["--cpus-per-worker"] == container["resources"]["limits"]["cpu"]
    assert given["--gpus-per-worker"] == container["resources"]["limits"]["nvidia.com/gpu"]
    assert int(given.get("--workers") or given["--max-workers"]) == group["maxReplicas"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--model x --port 80", "--port is no option of the application: Ray has its own; omit it"),
        ("--api-key x", "the key is TEMPO_API_KEY"),
        ("--ray auto", "--ray is no option"),
        ("--nonsense 1", "unrecognized arguments: --nonsense 1"),
        ("--max-queue x", "max-queue"),
    ],
)
def test_options_that_do_not_go_there_are_one_line(options, says):
    with pytest.raises(UsageError, match=says) as caught:
        parse(options)
    assert "\n" not in str(caught.value)
