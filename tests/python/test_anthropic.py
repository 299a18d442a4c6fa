"""Anthropic's own SDK against the scripted provider: what the sidecar is tested with has the vendor's shape."""

import anthropic
import pytest

WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
ANSWER = {"text": ["It is ", "sunny."], "reasoning": ["hm ", "well"],
          "tools": [{"name": "weather", "arguments": ["{\"city\": ", "\"Kyiv\"}"]}]}


@pytest.fixture
def ask(provider):
    def start(*acts):
        sdk = anthropic.Anthropic(base_url=provider(*acts).root, api_key="none", max_retries=0)
        return sdk, {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": [WEATHER]}

    return start


def check(message):
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[0].thinking == "hm well"
    assert message.content[1].text == "It is sunny."
    assert message.content[2].input == {"city": "Kyiv"}
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == 7


def test_a_whole_message(ask):
    sdk, request = ask(ANSWER)
    check(sdk.messages.create(**request))


def test_a_streamed_message(ask):
    sdk, request = ask(ANSWER)
    with sdk.messages.stream(**request) as stream:
        assert "".join(stream.text_stream) == "It is sunny."
        check(stream.get_final_message())


def test_errors(ask):
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    sdk, request = ask({"status": 529, "body": body})
    with pytest.raises(anthropic.APIStatusError) as raised:
        sdk.messages.create(**request)
    assert raised.value.status_code == 529
    assert raised.value.body["error"]["type"] == "overloaded_error"
