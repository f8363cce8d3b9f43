"""What `gatectl suite new` writes: one prompt of each kind of check, with its comment."""

_TEMPLATE = """\
# yaml-language-server: $schema={schema}
# Change a prompt, a seed or a picture, and the suite has another digest: count `version` up, so that people see it.
schema_version: 1
kind: suite
name: "{name}"
version: 1
title: "{name}: what our users ask for"
seeds: [1, 2, 3]                  # every prompt is drawn with each; both arms get the same seed
# assets:                         # reference pictures, PNG files below this file's folder
#   acme: assets/acme.png         # a prompt names it: expect: {{logo: acme}}
prompts:
  - id: sale-sign
    category: typography          # typography, mixed_text, long_text, unicode, small_objects, logos, layout,
                                  # edge_cases, no_text, people, style
    prompt: 'a shop window with a sign that says "SALE"'
    expect: {{text: "SALE"}}
  - id: three-red-circles
    category: small_objects
    prompt: "exactly three red circles on a plain white background, flat vector graphic"
    expect: {{things: [{{count: 3, colour: red, shape: circle}}]}}
  - id: calm-sea
    category: no_text
    prompt: "a calm sea at dawn, no text"
    expect: {{no_text: true}}
  - id: empty
    category: edge_cases
    prompt: ""                    # nothing to check: only compared with what the incumbent draws
    seeds: [1]
    # lanes: [preview]            # drawn on these lanes only
"""


def template(name: str, schema: str) -> str:
    """Return the text of a new suite; `schema` is where editors find the JSON Schema."""
    return _TEMPLATE.format(name=name, schema=schema)
