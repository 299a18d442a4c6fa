"""OpenAI's own SDK, unchanged, against the sidecar."""

import json

import openai
import pydantic
import pytest


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


WEATHER = {"type": "function", "function": {
    "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


def client(sidecar, **options):
    return openai.OpenAI(base_url=sidecar.base_url, api_key="none", **options)


def ask(client, **options):
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model="chat", messages=messages, **options)


@pytest.fixture
def one(provider, sidecar):
    """A sidecar in front of one scripted provider, and an SDK that does not retry by itself."""

    def start(*acts, **options):
        scripted = provider(*acts)
        running = sidecar(("a", {"base_url": scripted.base_url}), **options)
        return scripted, client(running, max_retries=0)

    return start


def test_a_whole_answer(one):
    scripted, sdk = one({"text": ["It is ", "sunny."]})
    answer = ask(sdk, temperature=0.5, extra_body={"vendor_knob": {"deep": [1, 2.5]}})
    assert answer.choices[0].message.content == "It is sunny."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 9
    assert answer.model == "served-a"
    assert scripted.seen()[0]["body"]["vendor_knob"] == {"deep": [1, 2.5]}


def test_a_streamed_answer_with_usage(one):
    _, sdk = one({"text": ["It ", "is ", "sunny."]})
    chunks = list(ask(sdk, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "It is sunny."
    assert chunks[-1].usage.completion_tokens == 3


def test_fields_that_only_the_vendor_knows_come_back(one):
    _, sdk = one({"text": ["hi"], "reasoning": ["well"], "extra": "\"vendor_field\": {\"x\": 1.5}"})
    answer = ask(sdk)
    assert answer.vendor_field == {"x": 1.5}
    assert answer.choices[0].message.reasoning_content == "well"


def test_several_choices_and_logprobs(one):
    _, sdk = one({"tokens": 2})
    answer = ask(sdk, n=3, logprobs=True)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [token.logprob for token in answer.choices[0].logprobs.content] == [-0.25, -0.25]


def test_tools_whole_and_streamed(one):
    _, sdk = one({"tools": [{"name": "weather", "arguments": ["{\"city\": ", "\"Kyiv\"}"]}]})
    call = ask(sdk, tools=[WEATHER]).choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Kyiv"})
    with sdk.chat.completions.stream(model="chat", messages=[{"role": "user", "content": "hi"}], tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == {"city": "Kyiv"}


def test_structured_output(one):
    scripted, sdk = one({"text": ["{\"city\": \"Kyiv\",", " \"degrees\": 21}"]})
    messages = [{"role": "user", "content": "hi"}]
    answer = sdk.chat.completions.parse(model="chat", messages=messages, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Kyiv", degrees=21)
    assert scripted.seen()[0]["body"]["response_format"]["json_schema"]["name"] == "Weather"


def test_completions_embeddings_and_models(one):
    _, sdk = one({"tokens": 2})
    assert sdk.completions.create(model="chat", prompt="once").choices[0].text == "0:0 0:1 "
    # The SDK asks for base64 unless told otherwise, and decodes it.
    vectors = sdk.embeddings.create(model="chat", input=["a", "bcd"]).data
    assert [vector.embedding for vector in vectors] == [[0.0, 1.0, -0.5], [1.0, 3.0, -0.5]]
    assert [model.id for model in sdk.models.list()] == ["chat"]


@pytest.mark.parametrize("act, error, kind", [
    ({"status": 429, "body": {}, "headers": {"retry-after": "7"}}, openai.RateLimitError, "rate_limited"),
    ({"status": 500, "body": {}}, openai.InternalServerError, "provider_error"),
    ({"status": 401, "body": {}}, openai.AuthenticationError, "authentication"),
    ({"status": 403, "body": {}}, openai.PermissionDeniedError, "permission_denied"),
    ({"status": 400, "body": {"error": {"message": "no", "type": "invalid_request_error"}}},
     openai.BadRequestError, "invalid_input"),
])
def test_errors_are_the_sdks_own(one, act, error, kind):
    _, sdk = one(act)
    with pytest.raises(error) as raised:
        ask(sdk)
    assert raised.value.body["type"] == kind
    assert raised.value.response.headers["x-correlation-id"] == raised.value.body["correlation_id"]
    if kind == "rate_limited":
        assert raised.value.response.headers["retry-after"] == "7"


def test_a_wrong_request_is_refused_with_its_fields(one):
    scripted, sdk = one({"tokens": 1})
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        ask(sdk, temperature=9, n=0)
    assert raised.value.body["field_errors"].keys() == {"temperature", "n"}
    assert scripted.seen() == []


def test_a_stream_that_breaks_raises(one):
    _, sdk = one({"tokens": 2, "end": "cut"})
    got = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in ask(sdk, stream=True):
            got.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)
    assert got == ["0:0 ", "0:1 "]
    assert raised.value.body["type"] == "stream_broken"


def test_the_sdks_retries_and_the_sidecars_are_not_stacked(provider, sidecar):
    scripted = provider({"status": 500, "body": {}})
    running = sidecar(("a", {"base_url": scripted.base_url,
                             "retry": {"max_retries": 2, "base_delay": "1ms", "max_delay": "2ms"}}))
    with pytest.raises(openai.InternalServerError):
        ask(client(running, max_retries=2))
    # Three, two and one, where stacked retries would make nine.
    assert len(scripted.seen()) == 6


def test_failover_is_not_noticed(provider, sidecar):
    broken, healthy = provider({"tokens": 1, "end": "reset"}), provider({"text": ["here"]})
    anthropic = provider({"status": 529, "body": {}})
    running = sidecar(("anthropic", {"kind": "anthropic", "base_url": anthropic.root}),
                      ("broken", {"base_url": broken.base_url}), ("healthy", {"base_url": healthy.base_url}))
    raw = client(running, max_retries=0).chat.completions.with_raw_response.create(
        model="chat", messages=[{"role": "user", "content": "hi"}])
    assert raw.parse().choices[0].message.content == "here"
    assert raw.headers["x-fusebox-provider"] == "healthy"
    assert raw.headers["x-fusebox-attempts"] == "3"


def test_an_anthropic_provider_serves_openais_sdk(provider, sidecar):
    scripted = provider({"text": ["It is ", "sunny."], "tools": [{"name": "weather", "arguments": ["{\"city\": ", "\"Kyiv\"}"]}]})
    sdk = client(sidecar(("a", {"kind": "anthropic", "base_url": scripted.root})), max_retries=0)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    with sdk.chat.completions.stream(model="chat", messages=messages, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "It is sunny."
    assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == {"city": "Kyiv"}
    assert "Be brief." in str(scripted.seen()[0]["body"]["system"])
