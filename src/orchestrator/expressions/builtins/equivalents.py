"""What to write instead of unsupported filters, tests, functions and methods of Jinja2, Ansible, Liquid and Python.

`{value}` stands for the operand of a filter or a test, or for the first argument of a function.
"""

from __future__ import annotations

from typing import Final

_ALWAYS_TEXT: Final = "remove it: text is only escaped by `escape`"
_ALWAYS_BOOLEAN: Final = "remove it: a condition accepts any value, and empty values are false"
_REPEATABLE: Final = "runs must be repeatable: use an index, `{value}[0]`"
_PYTHON: Final = "expressions cannot do this: compute it in a separate step with `tool: python`, and read its result"
_ENCODING: Final = "expressions cannot encode bytes: do it in a separate step with `tool: python`, and read its result"
_FLATTEN: Final = "to flatten a list of lists write `{value} | sum(start=[])`"
_MERGE: Final = "merge them in a separate step, `tool: json`, `action: merge`, and read its result"
_TERNARY: Final = "write `'yes' if {value} else 'no'`"
_ZIP: Final = "write `{% for item in {value} %}{{ item }} {{ b[loop.index0] }}{% endfor %}` for two lists"
_REQUIRED: Final = "write `{value} | required('message')`"
_REQUIRED_HERE: Final = "use the filter on the required value: `{value} | required('message')`"
_TABLE: Final = "write `{value} | markdown_table`"
_JSON: Final = "write `{value} | to_json`: JSON is valid YAML"
_NICE_JSON: Final = "write `{value} | to_json(indent=2)`"
_FROM_YAML: Final = "for JSON write `{value} | from_json`; for YAML use a separate step with `tool: python`"
_HTML: Final = "create a page in a separate step, `tool: report`, `action: html`"
_FIELD: Final = "read the field with `{value}.name` or `{value}['name']`"
_QUERY: Final = (
    "read fields with `{value}.name` and `{value} | map(attribute='name')`, or use `tool: json`, `action: query`"
)
_NULLS: Final = "write `{value} | reject('none') | list`"
_AVERAGE: Final = "write `({value} | sum) / ({value} | length)`"
_MEDIAN: Final = "use a separate step, `tool: data`, `action: aggregate`"
_DATE: Final = "write `{value} | date('%Y-%m-%d')`"
_PARTS: Final = "write `{value}.split(',')`"
_SUM: Final = "use the operator: `{value} + 1`"
_MATCH: Final = "use the filter: `{value} | regex_search('^pattern')`, which returns null if nothing matches"
_SEARCH: Final = "use the filter: `{value} | regex_search('pattern')`, which returns null if nothing matches"
_BOTH: Final = "write `{value} | select('in', other) | list`"
_NOT_IN: Final = "write `{value} | reject('in', other) | list`"
_UNION: Final = "write `({value} + other) | unique | list`"
_PATH: Final = "tools accept relative paths; use `basename` and `dirname` to get parts of a path"
_ADDRESS: Final = "use `regex_search` to get a part of a URL, as in `{value} | regex_search('^https?://([^/]+)', 1)`"
_NO_TYPES: Final = "write a test: `{value} is string`, `is number`, `is mapping`, `is sequence`"

FILTER_EQUIVALENTS: Final = {
    # Jinja2
    "attr": _FIELD,
    "random": _REPEATABLE,
    "shuffle": _REPEATABLE,
    **dict.fromkeys(("safe", "raw", "noescape", "mark_safe"), _ALWAYS_TEXT),
    "forceescape": "write `{value} | escape`",
    "xmlattr": "write the attributes yourself, and escape each value with `escape`",
    "urlize": 'write the link yourself: `<a href="{{ url }}">`',
    # other names
    **dict.fromkeys(("len", "size", "length_of", "num"), "write `{value} | length`"),
    **dict.fromkeys(("str", "to_string", "text", "tostring", "to_text", "stringify"), "write `{value} | string`"),
    **dict.fromkeys(("to_int", "integer", "number", "to_number", "parse_int"), "write `{value} | int`"),
    **dict.fromkeys(("to_float", "decimal", "parse_float"), "write `{value} | float`"),
    **dict.fromkeys(("sorted", "sort_natural", "order_by", "sort_by"), "write `{value} | sort`"),
    "reversed": "write `{value} | reverse`",
    **dict.fromkeys(("uniq", "distinct", "dedupe", "deduplicate", "set"), "write `{value} | unique | list`"),
    **dict.fromkeys(("bool", "boolean", "to_bool"), _ALWAYS_BOOLEAN),
    **dict.fromkeys(
        ("json", "dump", "dumps", "json_encode", "to_jsonl", "serialize", "jsonify"), "write `{value} | to_json`"
    ),
    **dict.fromkeys(("json_decode", "parse_json", "loads", "json_parse", "fromjson"), "write `{value} | from_json`"),
    **dict.fromkeys(("to_nice_json", "pretty", "prettify", "pretty_json", "nice_json"), _NICE_JSON),
    **dict.fromkeys(("to_yaml", "to_nice_yaml", "yaml", "toyaml", "yaml_encode", "to_toml"), _JSON),
    **dict.fromkeys(("from_yaml", "from_yaml_all", "fromyaml", "parse_yaml", "from_toml", "from_xml"), _FROM_YAML),
    **dict.fromkeys(("from_csv", "parse_csv", "csv"), "read the rows in a separate step, `tool: data`, `action: read`"),
    **dict.fromkeys(("to_csv", "as_csv"), "write the rows in a separate step, `tool: data`, `action: write`"),
    **dict.fromkeys(("to_table", "table", "to_markdown", "markdown_tables", "tabulate", "as_table"), _TABLE),
    **dict.fromkeys(("markdown", "to_html", "html", "md_to_html", "markdownify"), _HTML),
    **dict.fromkeys(("upcase", "uppercase", "to_upper", "upper_case"), "write `{value} | upper`"),
    **dict.fromkeys(("downcase", "lowercase", "to_lower", "lower_case", "casefold"), "write `{value} | lower`"),
    **dict.fromkeys(("titlecase", "title_case", "capwords"), "write `{value} | title`"),
    **dict.fromkeys(
        ("slug", "handle", "handleize", "parameterize", "kebabcase", "snakecase"), "write `{value} | slugify`"
    ),
    **dict.fromkeys(("camelcase", "pascalcase"), _PYTHON),
    **dict.fromkeys(("count_words", "word_count", "words", "number_of_words"), "write `{value} | wordcount`"),
    **dict.fromkeys(("truncatewords", "first_words"), "write `{value} | truncate_words(50)`"),
    **dict.fromkeys(("shorten", "ellipsis", "limit", "cut", "abbreviate", "left"), "write `{value} | truncate(80)`"),
    **dict.fromkeys(("strip_html", "strip_tags", "remove_html", "html_to_text"), "write `{value} | striptags`"),
    **dict.fromkeys(("wrap", "fill", "wordwrapped"), "write `{value} | wordwrap(79)`"),
    **dict.fromkeys(
        ("dedent", "normalize_whitespace", "strip_newlines", "squish"), "write `{value}.split() | join(' ')`"
    ),
    "nindent": "write a line break, and `{value} | indent(4, true)`",
    "newline_to_br": "write `{value} | replace('\\n', '<br>')`",
    "nl2br": "write `{value} | replace('\\n', '<br>')`",
    **dict.fromkeys(("escape_once", "html_escape", "escapehtml", "xmlescape"), "write `{value} | escape`"),
    **dict.fromkeys(("url_encode", "quote_plus", "urlquote", "uri_encode", "url_quote"), "write `{value} | urlencode`"),
    **dict.fromkeys(("human_readable", "bytes", "humanize", "naturalsize"), "write `{value} | filesizeformat`"),
    # missing values
    **dict.fromkeys(("mandatory", "raise_exception", "raise", "fail", "assert", "undef", "throw"), _REQUIRED),
    **dict.fromkeys(
        ("coalesce", "ifnull", "or", "if_none", "nvl", "fallback"), "write `{value} | default('...', true)`"
    ),
    **dict.fromkeys(("omit", "default_if_none"), "write `{value} | default('...', true)`"),
    **dict.fromkeys(("ternary", "iif", "yesno", "then", "if"), _TERNARY),
    # digests and encodings
    **dict.fromkeys(("md5", "sha512", "sha1", "blake2b"), "write `{value} | hash('{name}')`"),
    **dict.fromkeys(("sha256", "sha256sum", "checksum", "digest", "sha"), "write `{value} | hash`"),
    **dict.fromkeys(
        ("b64encode", "b64decode", "b64enc", "b64dec", "base64_encode", "base64_decode", "base64", "encode", "decode"),
        _ENCODING,
    ),
    **dict.fromkeys(("password_hash", "hmac_sha256", "hmac", "encrypt", "decrypt", "vault", "unvault"), _ENCODING),
    **dict.fromkeys(("to_uuid", "uuid"), "for an id derived from the text write `{value} | hash`"),
    **dict.fromkeys(("urldecode", "url_decode", "unquote", "unescape", "hex", "ord", "chr"), _PYTHON),
    # lists
    **dict.fromkeys(("flatten", "flat", "chain", "flat_map", "flatmap"), _FLATTEN),
    **dict.fromkeys(("zip", "zip_longest", "product", "combinations", "permutations", "subelements"), _ZIP),
    **dict.fromkeys(("enumerate", "with_index"), "use `loop.index0` inside a `{% for %}`"),
    **dict.fromkeys(("compact", "remove_null", "drop_null", "filter_none"), _NULLS),
    **dict.fromkeys(("average", "mean", "avg"), _AVERAGE),
    **dict.fromkeys(("median", "stddev", "quantile", "percentile"), _MEDIAN),
    **dict.fromkeys(("intersect", "intersection"), _BOTH),
    **dict.fromkeys(("difference", "minus_list", "except", "symmetric_difference"), _NOT_IN),
    "union": _UNION,
    "concat": "write `{value} + other`",
    **dict.fromkeys(("pluck", "extract", "collect", "map_attribute"), "write `{value} | map(attribute='name') | list`"),
    **dict.fromkeys(
        ("where", "filter", "find", "find_all", "filter_by"), "write `{value} | selectattr('name') | list`"
    ),
    **dict.fromkeys(("head", "take", "nth"), "write `{value}[:5]`"),
    **dict.fromkeys(("tail", "skip", "drop", "rest"), "write `{value}[5:]`"),
    **dict.fromkeys(("contains", "includes", "has"), "write `'part' in {value}`"),
    **dict.fromkeys(("group_by", "groupby_as_dict"), "write `{value} | groupby('name')`"),
    **dict.fromkeys(("range", "times_do"), "write `range({value})`"),
    **dict.fromkeys(("any",), "write `{value} | select | list | length > 0`"),
    **dict.fromkeys(("all",), "write `{value} | reject | list | length == 0`"),
    **dict.fromkeys(("tuple", "array", "to_list", "aslist"), "write `{value} | list`"),
    **dict.fromkeys(("chunk", "chunks", "in_groups_of"), "write `{value} | batch(10) | list`"),
    # objects
    **dict.fromkeys(("combine", "merge", "update", "merge_recursive", "deep_merge", "assign"), _MERGE),
    **dict.fromkeys(
        ("dict2items", "to_entries", "entries"), "write `{value} | items`, which returns pairs of name and value"
    ),
    **dict.fromkeys(("items2dict", "from_entries", "rekey_on_member", "to_dict"), _PYTHON),
    **dict.fromkeys(("keys",), "write `{value}.keys()`"),
    **dict.fromkeys(("values",), "write `{value}.values()`"),
    **dict.fromkeys(("get", "getpath"), _FIELD),
    **dict.fromkeys(("json_query", "jmespath", "jsonpath", "json_path", "jq", "query"), _QUERY),
    # text
    **dict.fromkeys(("split", "explode"), _PARTS),
    **dict.fromkeys(("lines", "splitlines_list"), "write `{value}.splitlines()`"),
    **dict.fromkeys(("append", "suffix"), "write `{value} ~ '...'`"),
    **dict.fromkeys(("prepend", "prefix"), "write `'...' ~ {value}`"),
    **dict.fromkeys(("remove", "remove_first", "delete"), "write `{value} | replace('...', '')`"),
    "replace_first": "write `{value} | replace('old', 'new', 1)`",
    **dict.fromkeys(("trimsuffix", "chop", "trim_suffix"), "write `{value}.removesuffix('...')`"),
    **dict.fromkeys(("trimprefix", "trim_prefix"), "write `{value}.removeprefix('...')`"),
    **dict.fromkeys(
        ("regex", "match", "search", "regex_match", "matches", "test"), "write `{value} | regex_search('pattern')`"
    ),
    **dict.fromkeys(
        ("find_all_matches", "regex_find_all", "scan", "findall"), "write `{value} | regex_findall('pattern')`"
    ),
    **dict.fromkeys(("sub", "gsub", "re_sub", "regex_sub"), "write `{value} | regex_replace('pattern', 'new')`"),
    "regex_escape": "write each special character with a backslash",
    "comment": "write `'# ' ~ ({value} | replace('\\n', '\\n# '))`",
    **dict.fromkeys(("pluralize", "pluralise"), "write `'item' if {value} == 1 else 'items'`"),
    **dict.fromkeys(("ljust", "rjust", "zfill"), "call the method: `({value} | string).{name}(10)`"),
    **dict.fromkeys(
        ("money", "currency", "number_format", "intcomma", "format_number"), "write `'%.2f' | format({value})`"
    ),
    **dict.fromkeys(
        ("squote", "dquote", "shell_quote", "shellescape"),
        'pass the value in a list of arguments: `command: [echo, "{{ {value} }}"]`',
    ),
    # times and numbers
    **dict.fromkeys(("strftime", "format_date", "date_format", "to_datetime", "as_datetime", "datetime"), _DATE),
    **dict.fromkeys(("timestamp_custom", "time", "datetimeformat", "dateformat", "isoformat"), _DATE),
    **dict.fromkeys(("timestamp", "as_timestamp", "unix", "epoch"), _PYTHON),
    **dict.fromkeys(("ceil", "ceiling"), "write `{value} | round(0, 'ceil') | int`"),
    "floor": "write `{value} | round(0, 'floor') | int`",
    **dict.fromkeys(("plus", "add", "increment"), _SUM),
    **dict.fromkeys(("minus", "subtract"), "use the operator: `{value} - 1`"),
    **dict.fromkeys(("times", "multiply", "mul"), "use the operator: `{value} * 2`"),
    **dict.fromkeys(("divided_by", "divide", "div"), "use the operator: `{value} / 2`"),
    **dict.fromkeys(("modulo", "mod"), "use the operator: `{value} % 2`"),
    "pow": "use the operator: `{value} ** 2`",
    "root": "use the operator: `{value} ** 0.5`",
    "sqrt": "use the operator: `{value} ** 0.5`",
    "log": _PYTHON,
    "at_least": "write `[{value}, 0] | max`",
    "at_most": "write `[{value}, 100] | min`",
    "clamp": "write `[[{value}, 0] | max, 100] | min`",
    "human_to_bytes": _PYTHON,
    # files and addresses
    **dict.fromkeys(("realpath", "abspath", "relpath", "expanduser", "expandvars", "normpath", "commonpath"), _PATH),
    **dict.fromkeys(("path_join", "win_basename", "win_dirname", "win_splitdrive"), _PATH),
    "splitext": "write `{value} | regex_replace('[.][^.]*$', '')`; the ending is `{value} | regex_search('[.][^.]*$')`",
    **dict.fromkeys(("extension", "suffix_of", "ext"), "write `{value} | regex_search('[.][^.]*$')`"),
    "fileglob": "find files in a separate step, `tool: filesystem`, `action: glob`",
    **dict.fromkeys(("urlsplit", "urlparse", "hostname", "domain"), _ADDRESS),
    **dict.fromkeys(("type_debug", "type", "typeof", "type_of"), _NO_TYPES),
    # tasks for a model
    **dict.fromkeys(("summarize", "summarise", "summary"), "use a model in a separate step, `action: summarize`"),
    **dict.fromkeys(("translate", "rewrite"), "use a model in a separate step, `action: generate_text`"),
    "classify": "use a model in a separate step, `action: classify`",
    "extract_entities": "use a model in a separate step, `action: extract`",
}
"""What to write instead of a foreign filter, by name."""

TEST_EQUIVALENTS: Final = {
    **dict.fromkeys(("str", "text", "a_string", "basestring", "unicode"), "write `{value} is string`"),
    **dict.fromkeys(("dict", "map", "hash", "dictionary", "a_dict"), "write `{value} is mapping`"),
    **dict.fromkeys(("int", "digit", "numeric_int"), "write `{value} is integer`"),
    **dict.fromkeys(("numeric", "num", "decimal", "double"), "write `{value} is number`"),
    **dict.fromkeys(("bool", "truefalse"), "write `{value} is boolean`"),
    **dict.fromkeys(("tuple", "vector", "a_list", "set"), "write `{value} is list`"),
    **dict.fromkeys(("nil", "nan", "missing", "unset"), "write `{value} is none`"),
    **dict.fromkeys(("blank", "whitespace"), "write `{value} is empty`"),
    **dict.fromkeys(("present", "exists", "set_value", "existing", "given"), "write `{value} is defined`"),
    **dict.fromkeys(("truthy",), "remove the test: a condition accepts any value, and empty values are false"),
    **dict.fromkeys(("falsy", "falsey"), "write `not {value}`"),
    **dict.fromkeys(("match", "matching", "regex"), _MATCH),
    **dict.fromkeys(("search", "like"), _SEARCH),
    **dict.fromkeys(("contains", "containing", "superset", "including", "any_of"), "write `'part' in {value}`"),
    **dict.fromkeys(("subset", "issubset"), "write `{value} | reject('in', other) | list | length == 0`"),
    **dict.fromkeys(
        ("startswith", "starts_with", "prefixed"),
        "write `{value} is startingwith('...')`, or `{value}.startswith('...')`",
    ),
    **dict.fromkeys(
        ("endswith", "ends_with", "suffixed"), "write `{value} is endingwith('...')`, or `{value}.endswith('...')`"
    ),
    **dict.fromkeys(("equal", "equals", "same", "same_as"), "write `{value} == other`"),
    **dict.fromkeys(("greater", "above", "more"), "write `{value} > other`"),
    **dict.fromkeys(("less", "below", "fewer"), "write `{value} < other`"),
    **dict.fromkeys(("between", "within"), "write `low <= {value} <= high`"),
    **dict.fromkeys(("positive",), "write `{value} > 0`"),
    **dict.fromkeys(("negative",), "write `{value} < 0`"),
    "zero": "write `{value} == 0`",
    "any": "write `{value} | select | list | length > 0`",
    "all": "write `{value} | reject | list | length == 0`",
    **dict.fromkeys(("callable", "escaped", "test"), "values are plain data: remove the test"),
    **dict.fromkeys(("version", "version_compare", "semver"), _PYTHON),
    **dict.fromkeys(("success", "succeeded", "successful", "ok"), "read the status of the step: `{value}.success`"),
    **dict.fromkeys(
        ("failed", "failure", "failing", "error"), "read the status of the step: `{value}.status == 'failed'`"
    ),
    **dict.fromkeys(("skipped", "skip"), "read the status of the step: `{value}.status == 'skipped'`"),
    **dict.fromkeys(
        ("changed", "change", "finished", "started", "reachable", "unreachable"),
        "read the status of the step: `{value}.status`",
    ),
    **dict.fromkeys(
        ("file", "directory", "dir", "link", "abs", "mount", "same_file"),
        "check it in a separate step, `tool: filesystem`, `action: exists`, and read its result",
    ),
    **dict.fromkeys(("url", "uri", "email", "uuid"), "use a pattern: `{value} | regex_search('^https?://')`"),
    "alpha": "call the method: `{value}.isalpha()`",
    "numeric_text": "call the method: `{value}.isdigit()`",
    "vault_encrypted": "values are plain data: remove the test",
}
"""What to write instead of a foreign test, by name."""

METHOD_EQUIVALENTS: Final = {
    "format": "use the filter: `'%s of %s' | format(a, b)`, or join the parts with `~`",
    "append": "values are immutable: build a new list: `items + [value]`",
    "extend": "values are immutable: build a new list: `items + more`",
    "insert": "values are immutable: build a new list with slices: `items[:1] + [value] + items[1:]`",
    "update": "values are immutable: write a new object: `{'a': 1}`",
    "pop": "values are immutable: read `items[-1]` and `items[:-1]`",
    "sort": "use the filter: `items | sort`",
    "reverse": "use the filter: `items | reverse`",
    "encode": "there is no bytes type: for a digest use `| hash`",
    "json": "use the filter: `value | from_json`",
    "iteritems": "write `.items()`",
    "iterkeys": "write `.keys()`",
    "itervalues": "write `.values()`",
    "has_key": "write `'name' in value`",
    "strftime": "use the filter: `now() | date('%Y-%m-%d')`",
    "isoformat": "remove it: `now()` already returns ISO 8601 text",
    "now": "write `now()`",
    "len": "use the filter: `| length`",
    "size": "use the filter: `| length`",
    "toLowerCase": "write `.lower()`",
    "toUpperCase": "write `.upper()`",
    "includes": "write `'part' in value`",
    "push": "values are immutable: build a new list: `items + [value]`",
    "map": "use the filter: `items | map(attribute='name')`",
    "filter": "use the filter: `items | selectattr('name')`",
    "substring": "write a slice: `value[0:5]`",
    "substr": "write a slice: `value[0:5]`",
    "slice": "write a slice: `value[0:5]`",
    "toString": "use the filter: `| string`",
}
"""What to write instead of a method of Python or JavaScript, by name."""

FUNCTION_EQUIVALENTS: Final = {
    "env": "declare an input with `default_from_env: NAME`, and read the input",
    "getenv": "declare an input with `default_from_env: NAME`, and read the input",
    "super": "template inheritance is not supported: write the text here",
    "caller": "macros are not supported: use `{% set %}` and `{% for %}`",
    "lipsum": "write the text here",
    "cycler": "use `loop.cycle(...)` inside a `{% for %}`",
    "joiner": "use `{{ ', ' if not loop.first }}` inside a `{% for %}`, or the filter `join`",
    "zip": "use `{% for item in a %}{{ b[loop.index0] }}{% endfor %}`",
    "enumerate": "use `loop.index0` inside a `{% for %}`",
    "eval": "write the expression itself",
    "len": "write `{value} | length`",
    "str": "write `{value} | string`, or join text with `~`",
    "bool": _ALWAYS_BOOLEAN,
    "sorted": "write `{value} | sort`",
    "reversed": "write `{value} | reverse`",
    "tuple": "write `{value} | list`",
    "set": "write `{value} | unique`",
    "any": "write `{value} | select | list | length > 0`",
    "all": "write `{value} | reject | list | length == 0`",
    "isinstance": _NO_TYPES,
    "type": _NO_TYPES,
    "getattr": "read the field with `.name` or `['name']`",
    "hasattr": "write `{value}.name is defined`",
    "datetime": "write `now()`, or `value | date('%Y-%m-%d')`",
    "today": "write `now('%Y-%m-%d')`",
    "strftime": "write `now('%Y-%m-%d')`, or `value | date('%Y-%m-%d')`",
    "print": "write `{value}`",
    "raise": _REQUIRED_HERE,
    "raise_exception": _REQUIRED_HERE,
    "fail": _REQUIRED_HERE,
    "error": _REQUIRED_HERE,
    "uuid": "read the id of the run, `run.id`, or the key of the step, `step.idempotency_key`",
    "uuid4": "read the id of the run, `run.id`, or the key of the step, `step.idempotency_key`",
    "random": "runs must be repeatable: use an index",
    "mean": "write `({value} | sum) / ({value} | length)`",
    "average": "write `({value} | sum) / ({value} | length)`",
    "merge": _MERGE,
    "combine": _MERGE,
    "coalesce": "write `{value} | default('...', true)`",
    "iif": _TERNARY,
    "contains": "write `'part' in {value}`",
    "success": "read the status of a step: `step_id.success`",
    "failure": "read the status of a step: `step_id.status == 'failed'`",
    "always": "put the step under `finally:`",
    "toJSON": "write `{value} | to_json`",
    "fromJSON": "write `{value} | from_json`",
    "JSON": "write `{value} | to_json`",
}
"""What to write instead of a foreign function, by name; `{value}` stands for its first argument."""
