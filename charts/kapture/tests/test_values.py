"""Every value has an effect, and those with a rule follow it."""

import pathlib
import re
import tempfile
import unittest

import chart

FULL = "full"
EXTERNAL = ["kafka.enabled=false", "kafka.external.bootstrapServers=k:9092"]
STORE = {s: [f"{s}.enabled=true", f"{s}.external.host=db", f"{s}.auth.existingSecret=mine"] for s in ("redis", "postgres")}
DIGEST = "sha256:" + "0" * 64
JUMP = ["benchmark.elasticity.from=100", "benchmark.elasticity.to=2000"]
RESOURCES = {"requests.cpu": "11m", "limits.cpu": "3", "limits.memory": "777Mi"}
IMAGE = {"registry": "r.example", "repository": "other/name", "tag": "9.9.9", "digest": DIGEST}
PERSISTENCE = {
    "enabled": "false", "size": "7Gi", "storageClass": "fast", "annotations": '{"team": "a"}',
    "retention.whenDeleted": "Delete", "retention.whenScaled": "Delete",
}  # fmt: skip

# Each value, a different setting of it, and what else must be set for it to have an effect. Based on the situation `full`.
CHANGES = {
    "kafka.enabled": ("false & kafka.external.bootstrapServers=k:9092", []),
    "kafka.replicas": ("5", []),
    "kafka.controllers": ("1", []),
    "kafka.salesPartitions": ("24", []),
    "kafka.retentionBytes": ("2000000000", []),
    "kafka.external.bootstrapServers": ("other:9092", EXTERNAL),
    "kafka.external.username": ("me", [*EXTERNAL, "kafka.auth.existingSecret=mine"]),
    "kafka.external.prefix": ("team.", EXTERNAL),
    "kafka.external.replicationFactor": ("2", EXTERNAL),
    "kafka.external.minInsyncReplicas": ("1", EXTERNAL),
    "loader.replicas": ("7", []),
    "loader.rate": ("250", []),
    "loader.catchUp": ("3", []),
    "loader.shape.kind": ("wave", []),
    "loader.shape.low": ("0.25", []),
    "loader.shape.high": ("7", []),
    "loader.shape.steps": ("5", []),
    "loader.shape.period": ("10m", []),
    "loader.shape.length": ("15s", []),
    "loader.shape.rates": ("0s 10", ["loader.shape.kind=rates", "loader.shape.rates=0s 5"]),
    "loader.arrivals": ("poisson", []),
    "loader.via": ("webapp", ["webapp.enabled=true"]),
    "loader.reads": ("50", ["webapp.enabled=true", "loader.via=webapp"]),
    "loader.linger": ("5ms", []),
    "loader.compression": ("lz4", []),
    "loader.seed": ("7", []),
    "loader.stores": ("50", []),
    "loader.customers": ("2000", []),
    "loader.skew": ("0", []),
    "loader.hotStore": ("50", []),
    "loader.days": ("30", []),
    "loader.stopAfter": ("90m", []),
    "webapp.enabled": ("false", []),
    "webapp.replicas": ("3", []),
    "etl.fanOut.transactionInterval": ("20ms", []),
    "redis.enabled": ("false", []),
    "redis.replicas": ("2", []),
    "redis.maxMemory": ("64Mi", []),
    "redis.external.host": ("other", STORE["redis"]),
    "redis.external.port": ("7000", STORE["redis"]),
    "postgres.enabled": ("false", []),
    "postgres.replicas": ("0", []),
    "postgres.external.host": ("other", STORE["postgres"]),
    "postgres.external.port": ("7000", STORE["postgres"]),
    "postgres.external.database": ("shop", STORE["postgres"]),
    "postgres.external.username": ("me", STORE["postgres"]),
    "auditor.replicas": ("0", []),
    "exporter.replicas": ("0", []),
    "kafka.config": ('{"num.io.threads": 9}', []),
    "kafka.jvmOptions": ("-XX:+UseZGC", []),
    "probe.stores": ("false", []),
    "probe.tag": ("v9", []),
    "benchmark.mode": ("smoke", []),
    "benchmark.target": ("2000", []),
    "benchmark.latencyLimit": ("500ms", []),
    "benchmark.elasticity.from": ("500", JUMP),
    "benchmark.elasticity.to": ("3000", JUMP),
    "benchmark.elasticity.within": ("5m", JUMP),
    "benchmark.schedule": ("@daily", []),
    "misbehaviour.layers": ("3", []),
    "misbehaviour.memory": ("64Mi", []),
    "misbehaviour.pauses.length": ("200ms", []),
    "misbehaviour.pauses.every": ("3s", ["misbehaviour.pauses.length=1s"]),
    "misbehaviour.startUp": ("20s", []),
    "misbehaviour.unbatched": ("true", []),
    "misbehaviour.nPlusOne": ("true", []),
    "misbehaviour.saleDelay": ("5ms", []),
    "guaranteed": ("true", []),
    "image.registry": ("r.example", []),
    "image.repository": ("other", []),
    "image.tag": ("9.9", []),
    "image.digests": ('{"loader": "%s"}' % DIGEST, []),
    "image.pullPolicy": ("Always", []),
    "imagePullSecrets": ('["mine"]', []),
    "global.imageRegistry": ("r.example/mirror", []),
    "global.imagePullSecrets": ('["mine"]', []),
    "networkPolicy.enabled": ("true", []),
    "networkPolicy.extraIngress": ('[{}]', ["networkPolicy.enabled=true"]),
    "networkPolicy.extraEgress": ('[{}]', ["networkPolicy.enabled=true"]),
    "serviceAccount.create": ("false", []),
    "serviceAccount.name": ("mine", []),
    "serviceAccount.annotations": ('{"team": "a"}', []),
    "nameOverride": ("other", []),
    "fullnameOverride": ("other", []),
    "commonLabels": ('{"team": "a"}', []),
    "platformUserIds": ("true", []),
    "nodeSelector": ('{"disk": "ssd"}', []),
    "tolerations": ('[{"operator": "Exists"}]', []),
    "affinity": ('{"nodeAffinity": {}}', []),
    "topologySpreadConstraints": ('[{"topologyKey": "rack"}]', []),
    "priorityClassName": ("high", []),
    "podSecurityContext": ('{"supplementalGroups": [7]}', []),
    "securityContext": ('{"readOnlyRootFilesystem": false}', []),
    "extraVolumes": ('[{"name": "x", "emptyDir": {"sizeLimit": "1Mi"}}]', []),
    "extraVolumeMounts": (
        '[{"name": "x", "mountPath": "/x"}]', ['extraVolumes=[{"name": "x", "emptyDir": {"sizeLimit": "1Mi"}}]'],
    ),
    "podLabels": ('{"team": "a"}', []),
    "podAnnotations": ('{"team": "a"}', []),
    "extraEnv": ('[{"name": "RUST_LOG", "value": "debug"}]', []),
}
BUSY = [f"{part}.resources.requests.cpu=500m" for part in chart.FLOW if part != "loader"]
for part in chart.FLOW:
    if part != "loader":
        on = [f"{part}.autoscaling.enabled=true", *BUSY]
        CHANGES[f"{part}.autoscaling.enabled"] = ("true", BUSY)
        CHANGES |= {f"{part}.autoscaling.{key}": ("3", on) for key in ("minReplicas", "maxReplicas", "targetCPUUtilizationPercentage")}
for part in ("kafka", *chart.FLOW, "webapp", "redis", "postgres", "auditor", "exporter", "probe", "benchmark", "test"):
    CHANGES |= {f"{part}.resources.{key}": (value, []) for key, value in RESOURCES.items()}
for part in chart.FLOW:
    CHANGES.setdefault(f"{part}.replicas", ("3", []))
for part in ("kafka", "redis", "postgres"):
    CHANGES |= {f"{part}.image.{key}": (value, []) for key, value in IMAGE.items()}
    CHANGES |= {f"{part}.persistence.{key}": (value, []) for key, value in PERSISTENCE.items()}
    CHANGES[f"{part}.auth.password"] = ("secret-1", [f"{part}.auth.password=secret-2"])
for part in ("kafka", "loader", "redis", "postgres"):
    CHANGES[f"{part}.auth.existingSecret"] = ("mine", [])
    CHANGES[f"{part}.auth.secretKey"] = ("other", [f"{part}.auth.existingSecret=mine"])


class EveryValue(unittest.TestCase):
    def test_each_value_is_changed_here(self):
        self.assertEqual(set(CHANGES), set(chart.leaves(chart.values())))

    def test_each_value_changes_what_is_rendered(self):
        def same(item):
            path, (other, also) = item
            return chart.text(FULL, *also) == chart.text(FULL, *also, *f"{path}={other}".split(" & "))

        for (path, _), unchanged in chart.parallel(same, CHANGES.items()):
            self.assertFalse(unchanged, path)

    def test_each_value_is_documented_where_it_stands(self):
        documented, stack, pending = {}, [], False
        for line in (chart.CHART / "values.yaml").read_text().splitlines():
            if re.match(r" *# -- ", line):
                pending = True
            elif match := re.match(r"( *)([A-Za-z]+):", line):
                stack[len(match[1]) // 2 :] = [match[2]]
                documented[".".join(stack)] = pending
                pending = False
        for path in chart.leaves(chart.values()):
            parts = path.split(".")
            above = [".".join(parts[:n]) for n in range(len(parts), max(0, len(parts) - 3), -1)]
            self.assertTrue(any(documented.get(p) for p in above), path)

    def test_values_stand_in_the_order_of_the_flow(self):
        flow = ["kafka", "loader", "webapp", "etl", "redis", "postgres", "auditor", "exporter", "probe", "benchmark", "misbehaviour"]
        self.assertEqual(list(chart.values())[: len(flow)], flow)
        self.assertLessEqual(len((chart.CHART / "values.yaml").read_text().splitlines()), 480)


class Replicas(unittest.TestCase):
    def test_each_component_has_as_many_as_asked_for(self):
        wanted = {
            "kafka": ("kafka", 5), **{name: (path, number % 5) for number, (path, name) in enumerate(chart.FLOW.items())},
            "webapp": ("webapp", 3), "redis": ("redis", 2), "postgres": ("postgres", 0), "auditor": ("auditor", 0), "exporter": ("exporter", 0),
        }  # fmt: skip
        for component, (path, count) in wanted.items():
            found = {n: r for n, r, _, _ in chart.workloads(FULL, f"{path}.replicas={count}")}
            self.assertEqual(found[component], count, component)

    def test_stores_that_are_off_leave_no_trace(self):
        off = chart.text("default", "postgres.enabled=false", "redis.enabled=false")
        self.assertNotRegex(off, "(?i)postgres|redis")

    def test_an_autoscaled_role_has_a_scaler_of_its_own_and_no_replicas(self):
        for path, name in chart.FLOW.items():
            if path == "loader":
                continue
            kind = "StatefulSet" if path == "etl.fanOut" else "Deployment"
            sets = [f"{path}.autoscaling.enabled=true", f"{path}.autoscaling.minReplicas=2", f"{path}.resources.requests.cpu=500m"]
            rendered = chart.render(FULL, *sets)
            scalers = [obj for (kind, _), obj in rendered.items() if kind == "HorizontalPodAutoscaler"]
            self.assertEqual([chart.component(obj) for obj in scalers], [name])
            spec = scalers[0]["spec"]
            self.assertEqual(spec["scaleTargetRef"], {"apiVersion": "apps/v1", "kind": kind, "name": f"kapture-{name}"})
            self.assertEqual((spec["minReplicas"], spec["maxReplicas"]), (2, 4))
            self.assertEqual(spec["metrics"][0]["resource"]["target"], {"type": "Utilization", "averageUtilization": 80})
            obj = rendered[(kind, f"kapture-{name}")]
            self.assertNotIn("replicas", obj["spec"])
            # By it an upgrade would take the autoscaler's number for one set with `kubectl scale`.
            self.assertNotIn("kapture/replicas", obj["metadata"].get("annotations", {}))
            fixed = [(kind, name) for (kind, name), obj in rendered.items() if kind in ("StatefulSet", "Deployment") and "replicas" not in obj["spec"]]
            self.assertEqual(fixed, [(kind, f"kapture-{name}")])

    def test_without_autoscaling_there_is_no_scaler(self):
        for situation in set(chart.SITUATIONS) - {"autoscaled"}:
            self.assertNotIn("HorizontalPodAutoscaler", chart.text(situation), situation)

    def test_the_quota_is_enough_for_all_that_an_autoscaler_may_add(self):
        template = """
            {{- include "kapture.init" . -}}
            {apiVersion: v1, kind: ConfigMap, metadata: {name: kapture-quota, labels: {app.kubernetes.io/component: quota}},
             data: {quota: {{ include "kapture.quota" (include "kapture.totals" . | fromYaml) | quote }}}}
        """

        def pods(*sets):
            with tempfile.TemporaryDirectory() as folder:
                copy = chart.copy_to(pathlib.Path(folder) / "kapture")
                (copy / "templates/quota.yaml").write_text(template)
                quota = chart.render(FULL, *sets, chart=copy)[("ConfigMap", "kapture-quota")]["data"]["quota"]
            return int(re.search(r"pods=(\d+)", quota)[1])

        scaled = ["etl.postgres.autoscaling.enabled=true", "etl.postgres.autoscaling.maxReplicas=6", "etl.postgres.resources.requests.cpu=500m"]
        self.assertEqual(pods(*scaled), pods("etl.postgres.replicas=6"))

    def test_all_start_at_once(self):
        for component in ("kafka", "loader", "etl-fan-out", "redis"):
            self.assertEqual(chart.get("StatefulSet", component, FULL)["spec"]["podManagementPolicy"], "Parallel")

    def test_only_kafka_of_several_brokers_has_a_disruption_budget(self):
        budgets = [(n, o["spec"]["maxUnavailable"]) for (k, n), o in chart.render(FULL).items() if k == "PodDisruptionBudget"]
        self.assertEqual(budgets, [("kapture-kafka", 1)])
        self.assertNotIn("PodDisruptionBudget", chart.text("smoke"))


class Kafka(unittest.TestCase):
    def properties(self, situation="default", *sets):
        text = chart.get("ConfigMap", "kafka", situation, *sets)["data"]["server.properties"]
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

    def env(self, *sets, name="kafka"):
        return chart.env(chart.container(name, "kafka", "default", *sets))

    def test_the_heap_is_half_of_the_memory_limit(self):
        self.assertEqual(self.env()["KAFKA_HEAP_OPTS"], "-Xms512m -Xmx512m")
        for limit, heap in {"4Gi": 2048, "1536Mi": 768, "2G": 953}.items():
            found = self.env(f"kafka.resources.limits.memory={limit}")["KAFKA_HEAP_OPTS"]
            self.assertEqual(found, f"-Xms{heap}m -Xmx{heap}m")

    def test_retention_is_four_fifths_of_the_volume_unless_given(self):
        def kept(*sets):
            return int(chart.env(chart.container("loader", "loader", "default", *sets))["KAFKA_RETENTION_BYTES"])

        self.assertEqual(kept(), 8 * 2**30)
        self.assertEqual(kept("kafka.persistence.size=100Gi", "postgres.persistence.size=40Gi"), 80 * 2**30)
        self.assertEqual(kept("kafka.persistence.size=5G"), 4 * 10**9)
        self.assertEqual(kept("kafka.retentionBytes=3000000000"), 3000000000)

    def test_copies_follow_the_brokers_up_to_three(self):
        for situation, sets, copies, insync in [
            ("smoke", [], "1", "1"),
            ("default", [], "3", "2"),
            ("default", ["kafka.replicas=7"], "3", "2"),
        ]:
            properties = self.properties(situation, *sets)
            for key in ("default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor"):
                self.assertEqual(properties[key], copies)
            for key in ("min.insync.replicas", "transaction.state.log.min.isr"):
                self.assertEqual(properties[key], insync)
            env = chart.env(chart.container("loader", "loader", situation, *sets))
            self.assertEqual((env["KAFKA_REPLICATION_FACTOR"], env["KAFKA_MIN_INSYNC_REPLICAS"]), (copies, insync))
        self.assertEqual(properties["unclean.leader.election.enable"], "false")
        self.assertEqual(properties["auto.create.topics.enable"], "false")

    def test_the_first_brokers_vote_and_more_brokers_change_nothing(self):
        voters = self.properties("default", "kafka.replicas=5")["controller.quorum.voters"]
        self.assertEqual([v.split("@")[0] for v in voters.split(",")], ["0", "1", "2"])
        self.assertIn("@kapture-kafka-2.kapture-kafka:9093", voters)
        maps = [chart.get("ConfigMap", "kafka", "default", f"kafka.replicas={n}")["data"] for n in (3, 5)]
        self.assertEqual(*maps)

    def test_the_cluster_id_is_sixteen_bytes_and_always_the_same(self):
        import base64

        found = chart.get("ConfigMap", "kafka")["data"]["cluster-id"]
        raw = base64.urlsafe_b64decode(found + "==")
        self.assertEqual(len(raw), 16)
        self.assertEqual(base64.urlsafe_b64encode(raw).decode().rstrip("="), found)
        self.assertEqual(found, chart.get("ConfigMap", "kafka", "smoke")["data"]["cluster-id"])

    def test_the_password_is_in_no_config_map(self):
        for (kind, _), obj in chart.render("default", "kafka.auth.password=hidden-1").items():
            if kind != "Secret":
                self.assertNotIn("hidden-1", str(obj))

    def test_somebody_elses_kafka_gets_no_object_and_a_prefix(self):
        rendered = chart.render("external-kafka")
        self.assertFalse([n for _, n in rendered if n == "kapture-kafka"])
        env = chart.env(chart.container("loader", "loader", "external-kafka"))
        self.assertEqual(env["KAFKA_PREFIX"], "perf-test_kapture_")
        self.assertEqual(env["KAFKA_USERNAME"], "perf")
        self.assertEqual(env["KAFKA_PASSWORD"], {"secretKeyRef": {"name": "our-kafka", "key": "kapture"}})
        bare = chart.env(chart.container("loader", "loader", "default", *EXTERNAL))
        self.assertFalse({"KAFKA_USERNAME", "KAFKA_PASSWORD"} & set(bare))


class Loader(unittest.TestCase):
    def env(self, *sets):
        return chart.env(chart.container("loader", "loader", "default", *sets))

    def test_what_is_said_reaches_the_program_as_plain_numbers(self):
        for rate, text in {"100": "100", "0.25": "0.25", "12.5": "12.5", "1000000": "1000000"}.items():
            self.assertEqual(self.env(f"loader.rate={rate}")["LOADER_RATE"], text)
        env = self.env("loader.stopAfter=90m", "loader.catchUp=1.5", "loader.seed=9007199254740991", "loader.customers=10000000")
        self.assertEqual(env["LOADER_STOP_AFTER"], "90m")
        self.assertEqual(env["LOADER_CATCH_UP"], "1.5")
        self.assertEqual(env["LOADER_SEED"], "9007199254740991")
        self.assertEqual(env["LOADER_CUSTOMERS"], "10000000")

    def test_the_ordinal_comes_from_the_pod(self):
        source = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
        self.assertEqual(self.env()["LOADER_ORDINAL"], source)
        self.assertEqual(chart.env(chart.container("etl", "etl-fan-out"))["ETL_ORDINAL"], source)
        self.assertEqual(chart.env(chart.container("probe", "kafka"))["PROBE_BROKER_ID"], source)


class Stores(unittest.TestCase):
    def test_redis_keeps_sixty_percent_of_its_limit_unless_told(self):
        def line(*sets):
            return re.search("maxmemory (.*)", chart.get("ConfigMap", "redis", FULL, *sets)["data"]["redis.conf"])[1]

        self.assertEqual(line(), "153mb")
        self.assertEqual(line("redis.resources.limits.memory=1Gi"), "614mb")
        self.assertEqual(line("redis.maxMemory=200Mi"), str(200 * 2**20))

    def test_persistence_is_a_claim_or_a_bounded_empty_dir(self):
        for store, size in {"kafka": "10Gi", "redis": "1Gi", "postgres": "10Gi"}.items():
            claim = chart.get("StatefulSet", store, FULL)
            self.assertIn("volumeClaimTemplates", claim["spec"])
            self.assertEqual(chart.volume_size(claim), size)
            self.assertNotIn("storageClassName", claim["spec"]["volumeClaimTemplates"][0]["spec"])
            other = chart.get("StatefulSet", store, FULL, f"{store}.persistence.size=20Gi", f"{store}.persistence.storageClass=-")
            self.assertEqual(chart.volume_size(other), "20Gi")
            self.assertEqual(other["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"], "")
            empty = chart.get("StatefulSet", store, FULL, f"{store}.persistence.enabled=false", f"{store}.persistence.size=5Gi")
            self.assertNotIn("volumeClaimTemplates", empty["spec"])
            self.assertEqual(chart.volume_size(empty), "5Gi")

    def test_generated_secrets_are_kept_with_the_volumes(self):
        secrets = {name: o["metadata"].get("annotations") for (k, name), o in chart.render(FULL).items() if k == "Secret"}
        keep = {"helm.sh/resource-policy": "keep"}
        servers = {f"kapture-{server}": keep for server in ("kafka", "redis", "postgres")}
        self.assertEqual(secrets, servers | {"kapture-loader": None})
        self.assertNotIn("resource-policy", chart.text("smoke"))

    def test_made_up_passwords_are_long_and_given_ones_are_taken(self):
        import base64

        given = chart.get("Secret", "redis", FULL, "redis.auth.password=given")
        self.assertEqual(base64.b64decode(given["data"]["password"]), b"given")
        self.assertEqual(chart.text(FULL).count("bWFkZSB1cA=="), 4)

    def test_a_secret_of_yours_is_the_only_one(self):
        for component, container, name in [("etl-postgres", "etl", "POSTGRES_PASSWORD"), ("postgres", "postgres", "POSTGRES_PASSWORD")]:
            env = chart.env(chart.container(container, component, "existing-secrets"))
            self.assertEqual(env[name], {"secretKeyRef": {"name": "kapture-passwords", "key": "postgres"}})

    def test_somebody_elses_store_gets_no_server_and_a_name_of_its_own(self):
        for store, variable, text in [
            ("redis", "REDIS_PREFIX", "perf-test_kapture_"),
            ("postgres", "POSTGRES_SCHEMA", "perf-test_kapture"),
        ]:
            rendered = chart.render(FULL, *STORE[store])
            self.assertFalse([key for key in rendered if key[1] == f"kapture-{store}"])
            env = chart.env(chart.container("auditor", "auditor", FULL, *STORE[store]))
            self.assertEqual(env[variable], text)
            self.assertEqual(env[f"AUDITOR_{store.upper()}"], "true")


class Probes(unittest.TestCase):
    DATA = {"kafka": "/var/lib/kafka/data", "redis": "/data", "postgres": "/var/lib/postgresql/data"}
    # Where the servers' own files are.
    OWN = {"kafka": "/var/lib/kafka/data/logs", "redis": "/data/appendonlydir", "postgres": "/var/lib/postgresql/data/pgdata"}

    def pods(self, *sets):
        return {name: spec for name, _, _, spec in chart.workloads(FULL, *sets) if name in self.DATA}

    def test_each_server_has_one_that_can_look_into_its_process(self):
        for server, spec in self.pods().items():
            own, probe = spec["containers"]
            self.assertEqual((own["name"], probe["name"], spec["shareProcessNamespace"]), (server, "probe", True))
            # The user and the group are the pod's.
            self.assertEqual(own["securityContext"], probe["securityContext"])
            self.assertEqual(chart.env(probe)["PROBE_TARGET"], server)

    def test_it_writes_on_the_volume_of_the_data_and_outside_of_the_data(self):
        for server, spec in self.pods().items():
            own, probe = spec["containers"]
            directory = chart.env(probe)["PROBE_FSYNC_DIR"]
            mounts = {m["mountPath"] for m in own["volumeMounts"] if m["name"] == "data"}
            self.assertEqual({directory.removesuffix("/probe")}, mounts)
            self.assertFalse(f"{directory}/".startswith(f"{self.OWN[server]}/"))
            script = chart.get("ConfigMap", server, FULL)["data"]["start.sh"]
            made = re.search(r"(?m)^mkdir -p (\S+) \|\| true$", script)[1]
            data = re.search(r"(?m)^data=(\S+)$", script)
            expected = {"$data/probe": f"{data and data[1]}/probe", "${data%/*}/probe": f"{data and data[1].rpartition('/')[0]}/probe"}
            self.assertEqual(expected.get(made, made), directory)

    def test_peers_are_the_brokers_set_at_install_and_the_role_behind_each_store(self):
        def peers(*sets):
            return {server: chart.env(spec["containers"][1])["PROBE_PEERS"] for server, spec in self.pods(*sets).items()}

        brokers = [f"kapture-kafka-{n}.kapture-kafka:9092" for n in range(3)]
        stores = {"redis": "kapture-etl-redis:8080", "postgres": "kapture-etl-postgres:8080"}
        self.assertEqual(peers("kafka.replicas=5"), {"kafka": ",".join(brokers), **stores})
        # The probe of the only broker leaves out its own pod, and still has a peer.
        for replicas in (1, 3):
            found = peers("kafka.controllers=1", f"kafka.replicas={replicas}")
            self.assertEqual(found, {"kafka": f"{brokers[0]},kapture-etl-fan-out:8080", **stores})

    def test_stores_can_do_without_and_brokers_cannot(self):
        for server, spec in self.pods("probe.stores=false").items():
            self.assertEqual(len(spec["containers"]), 2 if server == "kafka" else 1)
            self.assertEqual(spec.get("shareProcessNamespace"), True if server == "kafka" else None)

    def test_postgres_starts_and_stops_without_being_process_1(self):
        (postgres, _) = self.pods()["postgres"]["containers"]
        data = re.search(r"(?m)^data=(\S+)$", chart.get("ConfigMap", "postgres")["data"]["start.sh"])[1]
        self.assertIn(f"head -n 1 {data}/postmaster.pid", postgres["lifecycle"]["preStop"]["exec"]["command"][-1])
        script = chart.get("ConfigMap", "postgres")["data"]["start.sh"]
        steps = ["while grep -qsx postgres /proc/[0-9]*/comm", "rm -f $data/postmaster.pid", "postgres --single"]
        self.assertEqual(sorted(steps, key=script.index), steps)


class Images(unittest.TestCase):
    def test_global_registry_digest_and_tag(self):
        def image(*sets):
            return chart.container("loader", "loader", "default", *sets)["image"]

        self.assertEqual(image(), "localhost/kapture/kapture-loader:0.1.0")
        self.assertEqual(image("image.tag=v9"), "localhost/kapture/kapture-loader:v9")
        self.assertEqual(image("global.imageRegistry=r:5000/m"), "r:5000/m/kapture/kapture-loader:0.1.0")
        self.assertEqual(image(f'image.digests={{"loader":"{DIGEST}"}}'), f"localhost/kapture/kapture-loader@{DIGEST}")

    def test_pull_secrets_take_both_forms(self):
        sets = ('global.imagePullSecrets=["a"]', 'imagePullSecrets=[{"name":"b"}]')
        for *_, spec in chart.workloads("default", *sets):
            self.assertEqual(spec["imagePullSecrets"], [{"name": "a"}, {"name": "b"}])

    def test_shared_settings_reach_every_pod(self):
        sets = (
            'nodeSelector={"disk":"ssd"}', 'tolerations=[{"operator":"Exists"}]', "priorityClassName=high",
            'podLabels={"team":"a"}', 'podAnnotations={"team":"b"}',
        )  # fmt: skip
        for component, _, metadata, spec in chart.workloads(FULL, *sets):
            self.assertEqual(spec["nodeSelector"], {"disk": "ssd"})
            self.assertEqual(spec["tolerations"], [{"operator": "Exists"}])
            self.assertEqual(spec["priorityClassName"], "high")
            self.assertEqual(metadata["labels"]["team"], "a", component)
            self.assertEqual(metadata["annotations"]["team"], "b", component)
