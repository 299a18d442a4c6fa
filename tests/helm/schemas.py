"""What of others' kinds the chart and its examples write, as schemas that know no other field. Each was held once against
the kind's own definition; they are here so that a slip is seen where no such definition is at hand."""

NAME = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def strict(required=(), **properties):
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def items(schema):
    return {"type": "array", "minItems": 1, "items": schema}


METADATA = strict(["name"], name=NAME, namespace=NAME, labels=TEXTS, annotations=TEXTS)
SELECTOR = strict(matchLabels=TEXTS, matchExpressions={"type": "array"})
NAMESPACES = strict(any={"type": "boolean"}, matchNames=items(NAME))
SECRET_KEY = strict(["name", "key"], name=NAME, key=NAME, optional={"type": "boolean"})
INTERVAL = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"}
RELABELINGS = items(strict(action={"enum": ["replace"]}, targetLabel=NAME, replacement=NAME))
ISSUER = strict(["name"], name=NAME, kind=NAME, group=NAME)
PARENT = strict(["name"], name=NAME, namespace=NAME, sectionName=NAME, group=NAME, kind=NAME, port={"type": "integer"})
ROUTE = strict(["parentRefs", "rules"], parentRefs=items(PARENT), hostnames=items(NAME), rules=items(strict(
    ["backendRefs"], backendRefs=items(strict(["name", "port"], name=NAME, port={"type": "integer"})))))
RULE = strict(["expr"], alert=NAME, record=NAME, expr={"type": ["string", "integer"]},
              labels=TEXTS, annotations=TEXTS, **{"for": INTERVAL, "keep_firing_for": INTERVAL})

SPECS = {
    ("monitoring.coreos.com/v1", "PodMonitor"): strict(
        ["selector", "podMetricsEndpoints"], namespaceSelector=NAMESPACES, selector=SELECTOR,
        podMetricsEndpoints=items(strict(["port"], port=NAME, path=NAME, interval=INTERVAL, relabelings=RELABELINGS))),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): strict(
        ["selector", "endpoints"], namespaceSelector=NAMESPACES, selector=SELECTOR,
        endpoints=items(strict(
            ["port"], port=NAME, path=NAME, interval=INTERVAL, scheme={"enum": ["http", "https"]}, relabelings=RELABELINGS,
            tlsConfig=strict(serverName=NAME, ca=strict(secret=SECRET_KEY))))),
    ("monitoring.coreos.com/v1", "PrometheusRule"): strict(
        ["groups"], groups=items(strict(["name", "rules"], name=NAME, interval=INTERVAL, rules=items(RULE)))),
    ("cert-manager.io/v1", "Issuer"): strict(selfSigned=strict()),
    ("cert-manager.io/v1", "Certificate"): strict(
        ["secretName", "issuerRef", "dnsNames"], secretName=NAME, issuerRef=ISSUER, dnsNames=items(NAME),
        usages=items({"enum": ["server auth", "digital signature", "key encipherment"]}),
        privateKey=strict(algorithm={"enum": ["ECDSA"]}, size={"enum": [256]}, rotationPolicy={"enum": ["Always"]})),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): ROUTE,
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): ROUTE,
    # The predictor is a pod, and is held to Kubernetes' own schema.
    ("serving.kserve.io/v1beta1", "InferenceService"): strict(["predictor"], predictor={"type": "object"}),
}


def schema_of(one):
    """The schema of an object of another's kind."""
    spec = SPECS[(one["apiVersion"], one["kind"])]
    return strict(["apiVersion", "kind", "metadata", "spec"], apiVersion=NAME, kind=NAME, metadata=METADATA, spec=spec)
