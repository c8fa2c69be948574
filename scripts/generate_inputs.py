"""Inputs for the policy, made from the catalogue and a seed: what two engines are asked to compare their answers.

    python3 scripts/generate_inputs.py COUNT SEED FOLDER

writes FOLDER/<world>/bundle (the policy without its tests, with that world's data) and FOLDER/<world>/inputs.jsonl. The
same count and seed give the same bytes. A world is data: the shipped one, and others with overlays, calendars, freezes,
rates, thresholds and a larger directory. An input is first one that may pass (any act, either phase), then most are
changed: members dropped, values of another type, numbers at and beside a bound, odd text, approvals doubled or borrowed.
Standard library only.
"""

import copy
import json
import random
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOMAIN = "spiffe://atb.dev/"
TIERS = ["low", "medium", "high", "critical"]
# Monday 21 September 2026, noon in Berlin.
NOON = 1789984800
DAY = 86400
ODD_NUMBERS = [0, -1, 1, 0.5, -0.5, 1.5, 0.1, 1e-7, 1e21, 1e15, 80, 79.99, 2**31, 2**53 - 1, -(2**53) + 1, 9000000000, 8999999999]
ODD_TEXTS = [
    "", " ", "0", "null", "é", "e\u0301", "\u202e", "\U0001f600", "\uffff", "a~b/c", "~1", "{{x}}", "*", "erp.*", "x" * 300, "\t\n", "\\", "\"", "İ", "ß",
]
ODD_VALUES = [None, True, False, [], {}, [None], {"": None}, [[[[1]]]], {"max": 1}, {"eq": None}, {"in": []}, "text", 7, 7.5, *ODD_NUMBERS]


def read(path):
    return json.loads((ROOT / "opa" / path / "data.json").read_text())


def template(path):
    """The members of a ground's template that the rules read; its YAML writes them one a line."""
    lines = dict(re.findall(r"^(\w+): (.+)$", path.read_text(), re.M))
    return {name: json.loads(text) if text[0] in "[\"" else text for name, text in lines.items() if name in
            ("id", "version", "basis", "jurisdictions", "acts", "data_classes")}


CATALOGUE = read("catalogue")
ACTS = sorted(CATALOGUE)
TEMPLATES = {one["id"]: one for one in map(template, sorted((ROOT / "opa/leg_templates").glob("*/data.yaml")))}


def person(name, roles, **more):
    entry = {"person": name, "name": name, "roles": roles, "tiers": list(TIERS), "acts": ["*"], "workspaces": ["default", "emea"]}
    return entry | more


def directory():
    approvers = read("approvers") | {
        DOMAIN + "approver/cleo": person("cleo", ["cfo"]),
        DOMAIN + "approver/mara": person("mara", ["manager"]),
        DOMAIN + "approver/nils": person("nils", ["manager"], tiers=["low", "medium"]),
        DOMAIN + "approver/olga": person("olga", ["finance"], acts=["erp.*", "finance.*"]),
        DOMAIN + "approver/past": person("past", ["ciso"], valid_until="2026-09-21"),
        DOMAIN + "approver/soon": person("soon", ["ciso"], valid_from="2026-09-22"),
        DOMAIN + "approver/dave": person("dave", ["manager"]),
        DOMAIN + "approver/far": person("far", ["cfo"], workspaces=["emea"]),
    }
    agents = read("agents") | {
        DOMAIN + "agent/emea": {"operator": "erin", "workspace": "emea"},
        DOMAIN + "agent/bound": {
            "operator": "dave", "workspace": "default",
            "platform": {"authorities": ["sha-256:" + "a" * 64], "connectors": ["erp", "crm"], "max_svid_seconds": 3600},
        },
    }
    return {"approvers": approvers, "agents": agents}


def overlay(rng, with_calendar):
    """What a workspace or an environment asks on top."""
    families = sorted({act.split(".")[0] for act in ACTS})
    patterns = lambda n: sorted({f"{rng.choice(families)}.*" if rng.random() < 0.6 else rng.choice(ACTS) for _ in range(n)})
    limits = {}
    for act in rng.sample(ACTS, 60):
        for name, limit in CATALOGUE[act].get("limits", {}).items():
            if isinstance(limit, dict) and isinstance(limit.get("max"), (int, float)):
                limits.setdefault(act, {})[name] = {"max": max(limit["max"] // 2, 1)}
    row = {
        "denied": patterns(4),
        "limits": limits,
        "approvals": {rng.choice(["low", "medium"]): {"approvals": rng.choice([1, 2])}, "high": {"roles": {"finance": 1}}},
        "rates": [{"acts": patterns(6), "per": rng.choice(["agent", "act", "workspace"]), "window": rng.choice([60, 3600, 86400]), "max": 5}],
        "sensitive_paths": ["/admin", "/x/9"],
        "restricted": [{"acts": ["*"], "parameter": "*", "pattern": "(?i)secret|^9{3}"}],
        "risk_threshold": rng.choice([20, 35, 50, 80]),
    }
    if with_calendar:
        row["hours"] = {"acts": patterns(25), "calendar": rng.choice(["berlin", "tokyo"])}
    return {name: value for name, value in row.items() if value and rng.random() < 0.75}


def calendars():
    week = {day: [["09:00", "12:00"], ["13:00", "17:30"]] for day in ["mon", "tue", "wed", "thu"]}
    return {
        "berlin": {"timezone": "Europe/Berlin", "hours": week | {"fri": [["09:00", "15:00"]]}, "holidays": ["2026-10-03", "2026-12-25"]},
        "tokyo": {"timezone": "Asia/Tokyo", "hours": {"mon": [["00:00", "24:00"]], "sun": [["22:00", "24:00"]]}, "holidays": ["2026-09-22"]},
    }


def worlds(rng):
    """Data documents by world; what is not named is the shipped one."""
    spans = lambda a, b: {"from": a, "until": b, "acts": [rng.choice(["erp.*", "aws.*", "*"]), "k8s.*"], "workspaces": ["default"], "reason": "audit"}
    made = {"shipped": {}, "directory": directory()}
    for index in range(4):
        data = directory()
        data["calendars"] = calendars()
        data["teams"] = {"ops": {"risk_threshold": rng.choice([25, 45, 70])}}
        data["workspaces"] = {
            "default": {"free_form_leg": index == 3} | overlay(rng, True),
            "emea": {"free_form_leg": False, "team": "ops"} | overlay(rng, True),
        }
        data["environments"] = {"production": overlay(rng, True), "staging": overlay(rng, False)} if index % 2 else {}
        data["freezes"] = {"audit": spans("2026-09-21T00:00:00Z", "2026-09-21T09:59:59Z")} if index > 1 else {}
        data["maintenance"] = {"patch": spans("2026-09-21T10:00:00+02:00", "2026-09-21T13:00:00+02:00")} if index == 1 else {}
        risk = read("risk")
        risk["threshold"] = rng.choice([40, 60, 100])
        if index != 2:
            risk["calendar"] = "berlin"
        data["risk"] = risk
        data["low_risk_allowlist"] = {"acts": {act: True for act in ACTS
                                               if CATALOGUE[act]["tier"] == "low" and CATALOGUE[act]["reversibility"] == "read_only"}}
        data[""] = {"rates": [{"acts": ["erp.*", "crm.*"], "per": "agent", "window": 60, "max": 20}] if index != 3 else []}
        made[f"overlay-{index}"] = data
    return made


def write_bundle(folder, data):
    for path in sorted((ROOT / "opa").rglob("*")):
        if path.suffix in (".rego", ".json", ".yaml") and "_test." not in path.name and "_cases." not in path.name:
            target = folder / path.relative_to(ROOT / "opa")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for name, document in data.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "data.json").write_text(json.dumps(document, indent=1))


class Inputs:
    """Inputs for one world."""

    def __init__(self, rng, data):
        self.rng = rng
        self.agents = data.get("agents", read("agents"))
        self.approvers = data.get("approvers", read("approvers"))
        self.people = sorted(self.approvers)
        self.rich = "agents" in data
        self.local = "calendars" in data

    def one(self):
        rng = self.rng
        if rng.random() < 0.004:
            return rng.choice([None, [], {}, "input", 3, True, {"poa": None}, [{}]])
        doc = self.passing()
        if self.local and rng.random() < 0.12:
            self.unmandated(doc)
        for _ in range(rng.choices([0, 1, 2, 3, 6], [26, 42, 18, 10, 4])[0]):
            rng.choices(
                [self.drop, self.confuse, self.bound, self.text, self.approve, self.constrain, self.param, self.privilege, self.tell, self.ground, self.swap],
                [10, 16, 14, 6, 16, 10, 8, 5, 12, 8, 5],
            )[0](doc)
        return doc

    def passing(self):
        rng = self.rng
        act = rng.choice(ACTS)
        entry = CATALOGUE[act]
        agent = rng.choice(sorted(self.agents)) if rng.random() < 0.25 else DOMAIN + "agent/procurement"
        call = rng.random() < 0.62
        ground = TEMPLATES[entry["ground"]]
        now = NOON + (rng.choice([0, 0, 0, 600, 7 * 3600, DAY, 5 * DAY, 12 * DAY]) if self.local else 0)
        leg = {
            "jurisdiction": rng.choice(ground["jurisdictions"]), "accountable_party": {"type": "employee", "id": "frank"}, "basis": ground["basis"],
            "ref": "REF-1", "description": "One call", "template": {"id": ground["id"], "version": ground["version"], "digest": "sha-256:aa"},
        }
        if ground["basis"] == "CONSENT":
            leg["data_subject"] = "hmac-sha-256:" + "ab" * 32
            leg["purpose"] = "newsletter"
        if entry["tier"] == "critical" or rng.random() < 0.2:
            leg["ticket"] = {"system": "jira", "ref": "OPS-1"}
        poa = {"iss": DOMAIN + "agentauth", "sub": agent, "aud": [DOMAIN + "broker"], "act": act, "con": {}, "leg": leg, "tier": entry["tier"], "ttl": 60}
        tie = {"connector": "erp", "method": "POST", "path": "/x/1", "digest": "sha-256:00"}
        doc = {
            "phase": "call" if call else "issue", "time": now, "workspace": self.agents[agent]["workspace"], "environment": "production",
            "agent": {"id": agent, "trust_domain": "atb.dev"}, "poa": poa, "approvals": [], "requires_dual_control": False,
        }
        if "platform" in self.agents[agent]:
            doc["agent"]["platform"] = {"authority": "sha-256:" + "a" * 64, "issued_at": now - 10, "expires_at": now + 3000}
        if entry["bind_request"]:
            poa["req"] = dict(tie)
        if call or entry["bind_request"] or rng.random() < 0.2:
            doc["request"] = {"act": act, "params": copy.deepcopy(entry["example"])} | tie
        if call:
            poa |= {"iat": now - 5, "nbf": now - 5, "exp": now + 55, "jti": "0198", "pol": "r1"}
            if self.local:
                doc["counters"] = {per: {"60": rng.randrange(7), "3600": rng.randrange(25), "86400": 3} for per in ("agent", "act", "workspace")}
            if entry["tier"] != "low" or rng.random() < 0.1:
                one = entry["tier"] == "medium" and "approval" not in entry and not entry.get("attestations") and rng.random() < 0.7
                self.agree(doc, 1 if one else 2)
        return doc

    def agree(self, doc, how_many):
        """Approvals that count, in the shape that the ground declares."""
        pair = ["alice", "carol"] if not self.rich else self.rng.choice([["cleo", "mara"], ["alice", "carol"], ["carol", "bob"], ["cleo", "olga"]])
        attested = sorted(CATALOGUE[doc["poa"]["act"]].get("attestations", {}))
        doc["approvals"] = [{"id": f"{DOMAIN}approver/{name}", "approved_at": doc["time"] - 60} for name in pair[:how_many]]
        for one in doc["approvals"]:
            if attested:
                one["attestations"] = attested
        rows = [{"id": one["id"], "type": "approver", "approved_at": one["approved_at"], "statement": "e.e.e"} for one in doc["approvals"]]
        if how_many == 1:
            doc["poa"]["leg"]["approval"] = {"approver_id": rows[0]["id"], "approved_at": doc["time"] - 60, "statement": "e.e.e"}
        else:
            doc["poa"]["leg"]["dual_control"] = {"required": True, "approvers": rows}
            doc["requires_dual_control"] = self.rng.random() < 0.5

    def unmandated(self, doc):
        doc |= {"unmandated": True, "poa": None, "approvals": [], "requires_dual_control": False, "phase": "call"}
        low = [act for act in ACTS if CATALOGUE[act]["tier"] == "low"]
        act = self.rng.choice(low)
        tie = {"connector": "erp", "method": "GET", "path": "/x/1", "digest": "sha-256:00"}
        doc["request"] = {"act": act, "params": copy.deepcopy(CATALOGUE[act]["example"])} | tie
        doc.setdefault("counters", {per: {"60": 1, "3600": 2, "86400": 3} for per in ("agent", "act", "workspace")})

    # Changes. Each bears with whatever the others have left.

    def places(self, doc):
        """Every member and element with what holds it."""
        found, open_ = [], [doc]
        while open_:
            holder = open_.pop()
            keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else []
            for key in keys:
                found.append((holder, key))
                open_.append(holder[key])
        return found

    def place(self, doc):
        places = self.places(doc)
        return self.rng.choice(places) if places else (None, None)

    def part(self, doc, *path):
        """The object at a path, an empty one of no effect where there is none."""
        for name in path:
            doc = doc.get(name) if isinstance(doc, dict) else None
        return doc if isinstance(doc, dict) else {}

    def entry(self, doc):
        act = self.part(doc, "poa").get("act") or self.part(doc, "request").get("act")
        return CATALOGUE.get(act, {}) if isinstance(act, str) else {}

    def drop(self, doc):
        holder, key = self.place(doc)
        if holder is not None:
            del holder[key]

    def confuse(self, doc):
        holder, key = self.place(doc)
        if holder is not None:
            holder[key] = copy.deepcopy(self.rng.choice(ODD_VALUES))

    def text(self, doc):
        texts = [(holder, key) for holder, key in self.places(doc) if isinstance(holder[key], str)]
        if texts:
            holder, key = self.rng.choice(texts)
            odd = self.rng.choice(ODD_TEXTS)
            holder[key] = self.rng.choice([odd, holder[key] + odd, odd + holder[key], holder[key].upper()])

    def bound(self, doc):
        rng, poa, now = self.rng, self.part(doc, "poa"), doc.get("time")
        params, limits = self.part(doc, "request", "params"), self.entry(doc).get("limits", {})
        step = rng.choice([-1, 0, 1, 0.5])
        bounds = [(name, limit) for name, limit in sorted(limits.items()) if isinstance(limit, dict)]
        if bounds and rng.random() < 0.6:
            name, limit = rng.choice(bounds)
            op, value = rng.choice(sorted(limit.items()))
            if op in ("min", "max"):
                params[name] = rng.choice([value, value + step, value * 0.8, value * 0.8 + step, value // 2 + rng.choice([0, 1]), -value])
            elif op in ("min_length", "max_length"):
                params[name] = rng.choice(["x", "é", "\U0001f600"]) * max(0, int(value + step)) if rng.random() < 0.7 else ["x"] * max(0, int(value + step))
            elif op == "in" and isinstance(value, list):
                params[name] = rng.choice([*value, "other"])
            return
        if not isinstance(now, (int, float)) or isinstance(now, bool):
            return
        cap = self.entry(doc).get("max_ttl_seconds", 300)
        rng.choice([
            lambda: poa.update(nbf=now + step),
            lambda: poa.update(exp=now + step),
            lambda: poa.update(iat=now + step),
            lambda: poa.update(ttl=cap + step),
            lambda: poa.update(iat=now - 5, nbf=now - 5, exp=now - 5 + cap + step),
            lambda: doc.update(time=rng.choice([0, -1, 9000000000, 8999999999, NOON + step, 1766620800, 1790892000, 4102444799])),
        ])()

    def approve(self, doc):
        rng, given = self.rng, doc.get("approvals")
        if not isinstance(given, list) or not isinstance(doc.get("poa"), dict):
            return
        now = doc["time"] if isinstance(doc.get("time"), int) else NOON
        somebody = {"id": rng.choice(self.people), "approved_at": now - rng.choice([0, 60, DAY])}
        kind = rng.randrange(9)
        if kind == 0 and given:
            given.append(copy.deepcopy(rng.choice(given)))
        elif kind == 1:
            given.append(somebody)
        elif kind == 2 and given:
            given.pop(rng.randrange(len(given)))
        elif kind == 3 and given:
            given[rng.randrange(len(given))] = somebody
        elif kind == 4:
            given.reverse()
        elif kind == 5 and given and isinstance(given[-1], dict):
            scope = {"id": rng.choice(self.people), "tiers": rng.choice([list(TIERS), ["low"], []]), "acts": rng.choice([["*"], ["erp.*"], []]),
                     "workspaces": rng.choice([["default"], ["emea"], ["default", "emea"]])}
            given[-1]["on_behalf_of"] = scope
        elif kind == 6 and given and isinstance(given[0], dict):
            given[0]["attestations"] = rng.choice([[], ["reviewed"], "reviewed", [1], sorted(self.entry(doc).get("attestations", {}))])
        elif kind == 7:
            self.part(doc, "poa", "leg", "accountable_party").update(id=rng.choice(["alice", "bob", "cleo", rng.choice(self.people)]))
        else:
            doc["requires_dual_control"] = rng.random() < 0.5
        if rng.random() < 0.6:
            leg, people = self.part(doc, "poa", "leg"), [one for one in given if isinstance(one, dict)]
            rows = [{"id": one.get("id"), "type": "approver"} for one in people]
            leg.pop("approval", None)
            leg.pop("dual_control", None)
            if len(rows) == 1:
                leg["approval"] = {"approver_id": rows[0]["id"]}
            elif rows:
                leg["dual_control"] = {"required": True, "approvers": rows}

    def constrain(self, doc):
        rng, entry = self.rng, self.entry(doc)
        con, params = self.part(doc, "poa", "con"), self.part(doc, "request", "params") or entry.get("example", {})
        names = sorted(entry.get("parameters", {}).get("properties", {}))
        if not names:
            return
        name = rng.choice(names)
        value = params.get(name, rng.choice(ODD_VALUES))
        limit = entry.get("limits", {}).get(name, {})
        top = limit.get("max", 10) if isinstance(limit, dict) else 10
        con[name] = rng.choice([
            value, {"eq": value}, {"in": [value]}, {"in": ["other", 1]}, {"in": value}, {"max": top}, {"max": top + rng.choice([-1, 1])}, {"min": 0}, {"min": 1, "max": top},
            {"max_length": 3}, {"max_length": 200}, {"min_length": 1, "max_length": 64}, {"pattern": "^.*$"}, {"regex": "x"}, {}, [], None, {"max": "10"}, {"eq": value, "max": top},
        ])
        if rng.random() < 0.08:
            con[rng.choice(ODD_TEXTS)] = 1

    def param(self, doc):
        rng, params = self.rng, self.part(doc, "request", "params")
        names = sorted(self.entry(doc).get("parameters", {}).get("properties", {}))
        if rng.random() < 0.4 or not names:
            params[rng.choice(ODD_TEXTS + ["extra", "amount", "secret"])] = copy.deepcopy(rng.choice(ODD_VALUES))
        else:
            params[rng.choice(names)] = copy.deepcopy(rng.choice(ODD_VALUES + ["secret", "my Secret", "999"]))

    def privilege(self, doc):
        rng, privileged = self.rng, sorted(self.entry(doc).get("privileged", {}).items())
        if not privileged:
            return self.constrain(doc)
        name, values = rng.choice(privileged)
        value = rng.choice(values)
        place = self.part(doc, "request", "params") if rng.random() < 0.6 else self.part(doc, "poa", "con")
        place[name] = rng.choice([value, [value], {"in": [value]}, {"eq": value}])

    def tell(self, doc):
        """What the broker tells about the place."""
        rng, request = self.rng, self.part(doc, "request")
        rng.choice([
            lambda: doc.update(environment=rng.choice(["staging", "development", "test", "", None, 1])),
            lambda: doc.update(workspace=rng.choice(["emea", "default", "", "x"])),
            lambda: doc.update(counters=rng.choice([{}, None, {"agent": {"60": 19}}, {"agent": {"60": 20, "3600": -1}, "act": {"60": 5.5}}])),
            lambda: doc.update(unmandated=rng.choice([True, False, "true", 1])),
            lambda: doc.update(poa=None),
            lambda: request.update(path=rng.choice(["/admin/x", "/x/9", "/x/99/y", "/Admin", "", "/x/1"])),
            lambda: request.update(connector=rng.choice(["crm", "erp", "aws"])),
            lambda: request.update(digest="sha-256:01", method="PUT"),
            lambda: self.part(doc, "poa").update(req=rng.choice([{}, None, [], "x", {"digest": "sha-256:00"}, {k: request.get(k) for k in ("connector", "method", "path", "digest")}])),
            lambda: self.part(doc, "agent").update(platform=rng.choice([{}, {"authority": "sha-256:" + "b" * 64, "issued_at": 1, "expires_at": 2}])),
            lambda: self.part(doc, "agent", "platform").update(expires_at=NOON + rng.choice([3589, 3590, 3591, 9999])),
        ])()

    def ground(self, doc):
        rng, leg = self.rng, self.part(doc, "poa", "leg")
        other = TEMPLATES[rng.choice(sorted(TEMPLATES))]
        rng.choice([
            lambda: leg.update(template={"id": other["id"], "version": other["version"], "digest": "sha-256:bb"}, basis=other["basis"]),
            lambda: leg.update(basis=other["basis"]),
            lambda: leg.update(jurisdiction=rng.choice(["EU", "DE", "XX", "GLOBAL", ""])),
            lambda: self.part(doc, "poa", "leg", "template").update(version=rng.choice(["1.0.1", "0.9.0", 1])),
            lambda: self.part(doc, "poa", "leg", "template").update(id=rng.choice(["none", "", None])),
            lambda: leg.pop("template", None),
            lambda: leg.update(data_subject=rng.choice(["frank@example.org", "hmac-sha-256:00", "", None])),
            lambda: leg.update(ticket=rng.choice([{"system": "jira", "ref": "OPS-1"}, {"system": "", "ref": "OPS-1"}, {"ref": "OPS-1"}, None, []])),
            lambda: leg.update(purpose="support", consent_ref="C-1"),
        ])()

    def swap(self, doc):
        rng, poa, request = self.rng, self.part(doc, "poa"), self.part(doc, "request")
        act = rng.choice(ACTS + ["no.such.act", "erp"])
        rng.choice([
            lambda: poa.update(act=act),
            lambda: request.update(act=act),
            lambda: (poa.update(act=act), request.update(act=act)),
            lambda: poa.update(tier=rng.choice(TIERS)),
            lambda: poa.update(sub=rng.choice(sorted(self.agents) + [DOMAIN + "agent/nobody"])),
            lambda: doc.update(phase=rng.choice(["call", "issue", "Call"])),
        ])()


def generate(count, seed, folder):
    """Writes the worlds and yields each one's name and number of inputs."""
    rng = random.Random(seed)
    made = worlds(rng)
    for index, (name, data) in enumerate(made.items()):
        write_bundle(folder / name / "bundle", data)
        inputs, mine = Inputs(rng, data), count // len(made) + (index < count % len(made))
        with open(folder / name / "inputs.jsonl", "w", encoding="ascii") as out:
            for _ in range(mine):
                out.write(json.dumps(inputs.one(), separators=(",", ":")) + "\n")
        yield name, mine


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    for world, how_many in generate(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])):
        print(f"{how_many:8} {world}")
