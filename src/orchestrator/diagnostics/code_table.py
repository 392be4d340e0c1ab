"""The codes of all diagnostics and errors, with the texts that `orchestrator explain CODE` prints."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from orchestrator import codes


class Code(Struct, frozen=True):
    """A stable code: `title` is a short noun phrase, `explanation` tells what went wrong and how to fix it.

    `remedy` is the help of a diagnostic that has no more specific one.
    """

    code: str
    title: str
    explanation: str
    severity: Literal["error", "warning"] = "error"
    remedy: str | None = None


_TABLE = (
    # --- 1xx: reading the file
    Code(
        codes.UNREADABLE_FILE,
        "unreadable file",
        "The path does not exist, is a directory, or is not UTF-8 text.",
    ),
    Code(codes.YAML_SYNTAX, "YAML syntax error", "The text is not valid YAML here."),
    Code(codes.TAB_INDENTATION, "tab in indentation", "YAML allows only spaces for indentation."),
    Code(
        codes.UNQUOTED_TEMPLATE,
        "unquoted template",
        "Quote a value that begins with `{{` or `{%`; otherwise YAML reads `{` as the start of a mapping.",
    ),
    Code(
        codes.DUPLICATE_KEY,
        "duplicate key",
        "A mapping has the same key twice, and only one of the two could take effect.",
    ),
    Code(
        codes.FILE_TOO_LARGE,
        "file over a limit",
        "The file is too large, nests too deeply, expands too far through aliases, or has more problems than can be "
        "listed.",
    ),
    Code(
        codes.UNKNOWN_ALIAS,
        "unknown alias",
        "An alias (`*name`) refers to an anchor (`&name`) that is not defined before it.",
    ),
    Code(
        codes.NOT_A_MAPPING,
        "not a single mapping",
        "A pipeline file contains exactly one YAML document, and that document is a mapping.",
    ),
    Code(codes.UNSUPPORTED_YAML, "unsupported YAML", "A tag, or a key that is not text, is not supported."),
    # --- 2xx: structure
    Code(codes.UNKNOWN_KEY, "unknown key", "The language does not define this key here."),
    Code(
        codes.WRONG_TYPE,
        "wrong type",
        "The value of this key does not have the type that the language requires. `orchestrator schema` lists the keys "
        "and their types.",
        remedy="write the value as the message describes",
    ),
    Code(codes.MISSING_KEY, "missing key", "A required key is missing."),
    Code(codes.DUPLICATE_STEP_ID, "duplicate step id", "Two steps have the same id."),
    Code(
        codes.VALUE_NOT_ALLOWED,
        "value not allowed",
        "The value is not one of those allowed here, or it is out of range.",
        remedy="write one of the allowed values",
    ),
    Code(
        codes.INVALID_DURATION,
        "invalid duration",
        "A duration is a number of seconds or a text such as `30s`, `5m` or `1h30m`.",
    ),
    Code(codes.CONFLICTING_KEYS, "conflicting keys", "Two keys in the same place mean the same thing."),
    Code(
        codes.INVALID_DEFAULT,
        "invalid default",
        "The default of an input does not match the type or the limits of that input.",
    ),
    Code(
        codes.INVALID_NAME,
        "invalid name",
        "An id or a name contains characters that are not allowed, or is a reserved word.",
    ),
    Code(codes.STEP_WITHOUT_WORK, "step without work", "A step has neither `tool` nor `action`."),
    Code(
        codes.AMBIGUOUS_NAME,
        "ambiguous name",
        "An input, a variable and a step share a name, so a reference to it would be ambiguous.",
    ),
    Code(
        codes.SEVERAL_KINDS_OF_WORK,
        "several kinds of work",
        "A step does exactly one thing: call a tool, loop, ask a question, or group steps.",
    ),
    Code(codes.KEY_WITHOUT_EFFECT, "key without effect", "This key applies only to another kind of step."),
    Code(
        codes.INVALID_SCHEDULE,
        "invalid schedule",
        "The `schedule` of a trigger is not a cron expression, or its `timezone` does not exist. A cron expression has "
        "five fields: minute, hour, day of the month, month, and day of the week.",
    ),
    # --- 3xx: names and expressions
    Code(
        codes.UNDEFINED_NAME,
        "undefined name",
        "An expression reads a name that is not an input, variable, step or function.",
    ),
    Code(codes.UNKNOWN_STEP, "unknown step", "The file refers to a step that does not exist."),
    Code(
        codes.UNKNOWN_FIELD,
        "unknown field",
        "An expression reads a field that the value does not have, according to its declared type.",
    ),
    Code(codes.SELF_REFERENCE, "self-reference", "A step reads its own result or depends on itself."),
    Code(
        codes.DEPENDENCY_CYCLE,
        "dependency cycle",
        "Steps depend on each other in a cycle, so none of them could ever start.",
    ),
    Code(codes.UNKNOWN_JUMP_TARGET, "jump to an unknown step", "A jump names a step that does not exist."),
    Code(
        codes.BACKWARD_JUMP,
        "backward jump",
        "A jump targets the step itself or an earlier one; jumps only go forward.",
    ),
    Code(
        codes.NAME_OUT_OF_SCOPE,
        "name out of scope",
        "An expression reads an inner step from outside the step that contains it. Inner values are available only "
        "through the outer step.",
    ),
    Code(
        codes.MALFORMED_EXPRESSION,
        "malformed expression",
        "The text between the braces is not an expression.",
        remedy="write an expression such as `topic | upper`, `pages + 1` or `long if pages > 9 else short`",
    ),
    Code(
        codes.UNTERMINATED_EXPRESSION,
        "unterminated expression",
        "A `{{`, `{%` or `{#` is never closed, or a block is never ended.",
    ),
    Code(codes.UNKNOWN_FILTER, "unknown filter", "The filter does not exist."),
    Code(
        codes.WRONG_ARGUMENTS,
        "wrong arguments",
        "A filter, test, function or method does not accept these arguments. `orchestrator filters` lists those "
        "of each.",
        remedy="pass the arguments that it accepts",
    ),
    Code(codes.UNKNOWN_TEST, "unknown test", "The test (`is ...`) does not exist."),
    Code(
        codes.UNKNOWN_FUNCTION,
        "unknown function or method",
        "Expressions can call only a fixed set of functions and methods, which `orchestrator filters` lists.",
        remedy="use a filter instead, as in `topic | upper`",
    ),
    Code(
        codes.INCOMPATIBLE_TYPES,
        "incompatible types",
        "An operation is applied to types that it can never work on.",
        remedy="convert one of the values, for example with `| int`, `| string` or `| list`",
    ),
    Code(
        codes.UNSUPPORTED_TEMPLATE_FEATURE,
        "unsupported template feature",
        "A feature of Jinja2 that is left out on purpose; the help names the replacement.",
    ),
    # --- 4xx: tools
    Code(codes.UNKNOWN_TOOL, "unknown tool", "The tool does not exist."),
    Code(codes.UNKNOWN_ACTION, "unknown action", "The tool does not have this action."),
    Code(codes.UNKNOWN_PARAMETER, "unknown parameter", "The action does not have this parameter."),
    Code(codes.MISSING_PARAMETER, "missing parameter", "A required parameter of the action is missing."),
    Code(
        codes.WRONG_PARAMETER_TYPE,
        "wrong parameter type",
        "The value can never have the type that the action requires.",
    ),
    Code(codes.NOT_PERMITTED, "not permitted", "The call would be refused: access is denied unless it is granted."),
    Code(codes.TOOL_EXTRA_MISSING, "missing extra", "The tool needs an optional package that is not installed."),
    Code(codes.ACTION_NOT_NAMED, "missing action", "The tool has several actions, and the step does not name one."),
    Code(
        codes.FILE_NOT_FOUND,
        "missing file",
        "A step without dependencies reads a file that does not exist, and nothing in this pipeline can have created "
        "it. The file may still be created elsewhere before the run, so this is a warning.",
        "warning",
    ),
    Code(
        codes.SHELL_INJECTION,
        "value in a shell command",
        "A shell interprets the whole command: a value that contains `;`, `$(...)` or a quote can run something "
        "else. Inputs, secrets, answers from models and people, and results of other steps can contain anything. "
        "Pass them as items of a list, which no shell interprets, or quote them with the filter `quote`.",
    ),
    Code(
        codes.CODE_INJECTION,
        "value in code",
        "Python and SQL execute their whole text: a value that contains a quote can run something else. Inputs, "
        "secrets, answers from models and people, and results of other steps can contain anything. Pass them as "
        "values with `inputs`: Python code reads `inputs`, and SQL reads `:name`. Numbers, booleans and words of an "
        "`enum` may be written into the text.",
    ),
    Code(
        codes.UNKNOWN_NOTICE_TARGET,
        "unknown target of a notice",
        "`notify:` names a target that `orchestrator.toml` does not configure. A target is a table such as "
        "`[notify.oncall]`, with the type of the target and where it is.",
    ),
    Code(
        codes.UNREADABLE_PIPELINE,
        "unreadable pipeline file",
        "The file that `pipeline:` names does not exist or is not a file.",
    ),
    Code(
        codes.RECURSIVE_PIPELINE,
        "recursive pipeline",
        "A pipeline calls itself through `pipeline:` without a limit.",
    ),
    Code(
        codes.MISSING_PIPELINE_INPUT,
        "missing input of a pipeline",
        "A required input of the called pipeline is missing.",
    ),
    Code(
        codes.UNKNOWN_PIPELINE_INPUT, "unknown input of a pipeline", "The called pipeline does not declare this input."
    ),
    Code(
        codes.UNUSABLE_AGENT_TOOL,
        "unusable agent tool",
        "`tools` of an agent lists what its model may call: tools and actions of this project, and MCP servers that "
        "`orchestrator.toml` configures in a table `[mcp.NAME]`. One of the listed tools does not exist.",
    ),
    Code(
        codes.UNREADABLE_PROMPT,
        "unreadable prompt file",
        "The file that a prompt names with `file:`, or one that it includes, does not exist, is not UTF-8 text, or "
        "includes itself. A prompt has at most 1,000,000 characters in 100 files.",
    ),
    Code(
        codes.MISPLACED_AUTO,
        "misplaced `<AUTO>`",
        "`<AUTO>...</AUTO>` stands for a value that a model determines while the pipeline runs. It cannot be used "
        "where the value must be known in advance, such as ids, tools and limits, or where the model would have to "
        "be called at another time than right before the step. It must describe what to find out.",
        remedy="follow the help; a step with `action: generate` can produce any value, and other steps read it",
    ),
    Code(
        codes.INVALID_TEST_FILE,
        "invalid test file",
        "A `*.test.yaml` file contains an unknown key, a step or an output that the pipeline does not have, or an "
        "expectation of the wrong form. No case of the file is run, so that a misspelt check cannot pass unnoticed.",
    ),
    Code(
        codes.LOCK_MISMATCH,
        "outdated lock",
        "The lock of the file contains an answer to a question that the file does not ask, or no longer asks, an "
        "answer of another type, or an answer to a question that reads a secret. A model is called in a run instead. "
        "This is an error if the lock cannot be read. `orchestrator lock FILE` updates the lock.",
        "warning",
        remedy="update the lock",
    ),
    Code(
        codes.UNKNOWN_MODEL,
        "unknown model",
        "Name a model as `provider:model`, as `server:model` for a server in `orchestrator.toml`, or by its name "
        "alone if it is in the catalogue. `orchestrator models` lists the catalogue. Any model of a provider can be "
        "named, whether it is in the catalogue or not.",
    ),
    Code(
        codes.MISSING_API_KEY,
        "missing API key",
        "The API key of a model's provider is not set. Keys are read from the environment, else from the file that "
        "`orchestrator keys set` writes. For `model: auto`, and for steps that name no model, the key of any provider "
        "or a running Ollama is enough. Recorded answers (`--replay DIR`) and the fakes of a test file need no key.",
    ),
    Code(
        codes.PROVIDER_EXTRA_MISSING,
        "missing provider extra",
        "The file names a model, and the packages for its provider are not installed.",
    ),
    Code(
        codes.INCAPABLE_MODEL,
        "incapable model",
        "The step needs a capability that the model does not have, so the call would fail after it was paid for. "
        "Correct what the catalogue says about a model under `[models]` in `orchestrator.toml`.",
    ),
    Code(
        codes.INVALID_MODEL_OPTIONS,
        "invalid budget, selection or requirements",
        "A budget, `selection` or `requires_model` cannot be applied: a limit below zero, an unknown word or key, or "
        "a limit in USD for a model whose price is unknown.",
    ),
    Code(
        codes.INVALID_OUTPUT_SCHEMA,
        "invalid output schema",
        "The answer of a model is validated against a schema: JSON Schema, or the short form `{title: string, score: "
        "number}`. A field with the name of something that every step has, such as `status`, is read below `data`; "
        "this is a warning.",
    ),
    Code(
        codes.INVALID_CHECK,
        "invalid check",
        "`check` describes what the output of a step must be: expressions that read it as `output`, a JSON Schema, "
        "or a rubric that a model judges it by.",
    ),
    # --- 5xx: warnings
    Code(codes.UNUSED_INPUT, "unused input", "No expression reads this input.", "warning"),
    Code(
        codes.UNGUARDED_NULL,
        "unguarded null",
        "An expression reads a value that can be null: a step that was skipped, or, in the first round of a loop, a "
        "name without a value in `initial`. Comparing null with `<` or `>=`, or computing with it, fails.",
        "warning",
    ),
    Code(codes.UNREACHABLE_STEP, "unreachable step", "The condition is always false.", "warning"),
    Code(codes.UNUSED_VARIABLE, "unused variable", "No expression reads this variable.", "warning"),
    Code(codes.WRONG_OUTPUT_TYPE, "wrong output type", "The value of the output can never have its declared type."),
    Code(
        codes.CONSTANT_OUTPUT,
        "constant output",
        "The output does not refer to anything; most often the braces are missing.",
        "warning",
    ),
    Code(
        codes.TRANSFORMED_SECRET,
        "transformed secret",
        "Values of secret inputs are recognised and redacted wherever they would be recorded. The result of a "
        "filter, a slice or `~` on a secret is a different text that cannot be recognised, so it would be stored and "
        "shown.",
        "warning",
    ),
    Code(
        codes.ENDLESS_LOOP,
        "endless loop",
        "Nothing that the condition reads changes from one round to the next.",
        "warning",
    ),
    Code(
        codes.CONSTANT_COMPARISON,
        "comparison that is never true",
        "A value of a closed set (a status, an input with `enum`, a label, true or false) is compared with a value "
        "outside the set, so the result is always the same.",
        "warning",
    ),
    Code(
        codes.UNANSWERED_QUESTION,
        "question, pause or end without dependents",
        "A step starts as soon as its dependencies have ended, regardless of its position in the file. Nothing waits "
        "for this question, pause or `end`, so the steps after it run before anyone has answered, without the pause, "
        "or although the pipeline ends early.",
        "warning",
    ),
    Code(
        codes.INERT_FORM,
        "form without effect",
        "The file is written in the dialect of py-orc. Nearly all of its forms are read as the canonical ones; this "
        "one has no effect here, or less than there, and the message says what it does.",
        "warning",
    ),
    Code(
        codes.OTHER_SPELLING,
        "other spelling",
        "The spelling is accepted, and the canonical one is another. Only `orchestrator check --canonical` reports it.",
        "warning",
    ),
    Code(
        codes.UNSENT_REMINDER,
        "reminder without a target",
        "`remind` and `escalate` send notices to the targets that are notified of open questions, and there are none: "
        "neither `notify` of the pipeline nor `[notify]` of `orchestrator.toml` names any for `waiting`. Reminders are "
        "then only recorded in the run.",
        "warning",
    ),
    Code(
        codes.CACHED_SECRET,
        "secret in a cached step",
        "A cached result is looked up by a digest of the parameters of the step. The digest of a secret would let "
        "anyone who can read the store guess it by trial, and a result that contains a secret is not recorded "
        "unchanged. A call that receives or returns a secret is therefore always made, as if the step had no "
        "`cache`.",
        "warning",
    ),
    Code(
        codes.IMPLAUSIBLE_TIME,
        "implausible time",
        "A constant time is before 2000, so the step does not wait at all. Most often a date was written as a "
        "number, such as `20301201`, which is read as seconds since 1970.",
        "warning",
    ),
    # --- 6xx: inputs of a run
    Code(
        codes.MISSING_INPUT,
        "missing input",
        "A required input has no value: not on the command line, not in an inputs file, not in its environment "
        "variable, and it has no default. Inputs are checked before a run is recorded, so nothing was started. Pass "
        "the value with `-i name=value` or `--inputs FILE`, or give the input a `default` or `required: false`.",
    ),
    Code(
        codes.UNKNOWN_INPUT,
        "unknown input",
        "A value was passed under a name that the pipeline does not declare as an input; most often it is a typing "
        "error. Nothing was started. Correct the name, or declare it under `inputs`.",
    ),
    Code(
        codes.INVALID_INPUT,
        "invalid input",
        "A value does not have the declared type of its input, violates a limit such as `min`, `pattern` or `enum`, "
        "or an inputs file cannot be read. All inputs are checked before anything is recorded or run. Values of `-i` "
        "are read by the declared type: write lists and objects as JSON.",
    ),
    Code(
        codes.SECRET_REQUIRED_AGAIN,
        "secret required again",
        "The value of an input that is declared `secret` is never written to the store, so you must pass it again "
        "when another process continues the run. The run is unchanged and can be resumed: pass the same secret with "
        "`-i name=value`, or set the environment variable of the input. Steps that succeeded are not run again.",
    ),
    Code(
        codes.INVALID_ANSWER,
        "invalid answer",
        "The answer does not have the expected type, or is not one of the choices.",
    ),
    Code(codes.NO_OPEN_QUESTION, "no open question", "No step of the run waits for an answer at this path."),
    # --- 7xx: failures of a step
    Code(
        codes.TOOL_FAILED,
        "tool failed",
        "The tool raised an error that has no more specific code, most often an exception in its own code. The "
        "attempt and its error are recorded. `retry` makes further attempts if the step has it, and `on_failure` "
        "decides whether the run continues afterwards. Fix the tool or its parameters and resume the run: steps that "
        "succeeded keep their results. Custom tools can raise `orchestrator.StepError` to report more than an "
        "exception does.",
    ),
    Code(
        codes.TIMEOUT,
        "timeout",
        "An attempt ran longer than the `timeout` of the step or the tool, and was stopped. It counts as a failed "
        "attempt, so `retry` makes another one if the step has it. Effects outside the run, such as files that the "
        "tool wrote before it was stopped, are not undone. If the cause has passed, resume the run; to use a longer "
        "`timeout`, edit the file and run `orchestrator resume RUN --with FILE`.",
    ),
    Code(
        codes.PERMISSION_DENIED,
        "permission denied",
        "A tool tried to use a path, a program or a host without permission, and was refused before it did anything. "
        "Access is denied unless it is granted, because paths and addresses may be known only from the data of the "
        "run. The step is not retried. Grant access with the option that the help names, or permanently under "
        "`[allow]` in `orchestrator.toml`, and resume the run.",
    ),
    Code(
        codes.EVALUATION_FAILED,
        "expression failed",
        "An expression was valid when the pipeline was checked, but cannot be evaluated with the values of this run: "
        "a division by zero, the first item of an empty list, a missing field. The step is not retried, as the "
        "values would be the same. Guard the expression, for example with `default(...)` or `if ... else`, and "
        "continue with the edited file: `orchestrator resume RUN --with FILE`.",
    ),
    Code(
        codes.RESULT_NOT_JSON,
        "result is not JSON",
        "Results are stored as JSON data, so that the run can be resumed and other steps can read them. This tool "
        "returned something that JSON cannot represent: a connection, a file, bytes, NaN. The tool ran, and its "
        "effects remain; only its result is rejected. Return text, numbers, lists, dicts, dataclasses or models "
        "instead, and resume the run.",
    ),
    Code(
        codes.HTTP_FAILED,
        "HTTP error",
        "The server answered with an error status, sent something unreadable, or could not be reached. A temporary "
        "problem (a lost connection, a status such as 429 or 503) is retried if the step has `retry`; a permanent "
        "one (404, 401) fails immediately. When the server works again, resume the run: only this step and those "
        "after it are run.",
    ),
    Code(
        codes.COMMAND_FAILED,
        "command failed",
        "A program that the step started exited with a status other than 0, or could not be started. The message "
        "includes the last lines of its standard error. With `check: false` the status is a result that the pipeline "
        "can read instead of a failure. Fix the cause and resume the run.",
    ),
    Code(
        codes.INVALID_PARAMETER,
        "invalid parameter",
        "`check` cannot verify a value that comes from another step, or from an input without a type. Now that the "
        "value is known, it is not what the action requires, so the tool was not called, and the step is not "
        "retried. Declare the types of inputs and of the results of your tools, and `check` finds most of these "
        "errors before a run.",
    ),
    Code(
        codes.FILE_FAILED,
        "file error",
        "A file or directory that the step names could not be read, written or created: it does not exist, is of "
        "another kind, or the operating system denies access. Relative paths start at the directory in which the run "
        "was started. Put the file where it is expected and resume the run.",
    ),
    Code(
        codes.INVALID_TOOL_INPUT,
        "invalid tool input",
        "The tool was called correctly, but cannot process its data: a text that is not JSON, a table without the "
        "column, an unreadable path. The same data would fail again, so the step is not retried. Fix the data, or "
        "the step that produces it, and continue with the edited pipeline: `orchestrator resume RUN --with FILE`.",
    ),
    Code(
        codes.TOO_MANY_ITERATIONS,
        "iteration limit reached",
        "A `while` or `until` loop ran `max_iterations` rounds without finishing.",
    ),
    Code(
        codes.TOO_FEW_ITEMS,
        "too few successful items",
        "The share of items of a loop that succeeded is below `min_success`.",
    ),
    Code(
        codes.NOT_ITERABLE,
        "not iterable",
        "`for_each` accepts a list, an object or a range of at most 10 million numbers.",
    ),
    Code(
        codes.ITEMS_FILE_CHANGED,
        "changed items file",
        "The file that a loop reads has changed since the loop started.",
    ),
    Code(
        codes.PIPELINES_TOO_DEEP,
        "pipelines nested too deeply",
        "A pipeline called itself more often than `max_depth` allows.",
    ),
    Code(
        codes.INTERRUPTED_STEP,
        "interrupted step",
        "The process died while the step was running, and `on_resume: fail` does not allow it to run again.",
    ),
    Code(
        codes.TOO_FEW_BRANCHES,
        "too few successful branches",
        "So many branches failed that fewer than `wait_for` can succeed.",
    ),
    Code(
        codes.FAILED_ON_PURPOSE,
        "failed on purpose",
        "A step with `fail` has ended the run, the group or the item, with its message. It is not retried, and "
        "resuming the run would fail again: correct what the message says, and start a new run.",
    ),
    Code(
        codes.COMPENSATION_FAILED,
        "a step could not be undone",
        "The run or a group failed or was cancelled, and the `undo` of one of its steps failed too. What was undone "
        "before counts as not done; the message names what remains. `orchestrator resume` continues to undo; "
        "`orchestrator retry` of a step gives that up and continues the run.",
    ),
    Code(codes.NOT_A_TIME, "not a time", "The value of `wait_until` or `sleep` is not a time or duration."),
    Code(
        codes.MODEL_FAILED,
        "model failed",
        "The provider returned an error that has no more specific code. The attempt and its error are recorded; "
        "`retry` makes further attempts if the step has it. The message includes the response of the provider.",
    ),
    Code(
        codes.MODEL_RATE_LIMITED,
        "model rate-limited",
        "The provider rejects the request because the account has reached its limit of requests or tokens. The call "
        "is retried if the step has `retry`, not before the time that the provider names. If this persists, give the "
        "step a lower `max_parallel` or a second model. If the message mentions a quota, the account has used it up, "
        "and only the owner of the account can raise it.",
    ),
    Code(
        codes.MODEL_UNAVAILABLE,
        "model unavailable",
        "The provider could not be reached, closed the connection, took longer than the step allows, or reported "
        "that it is overloaded or has an internal error. Such problems are temporary: the call is retried if the "
        "step has `retry`, or the next model of the list is called. For your own server, check that it is running "
        "and that its `base_url` is correct.",
    ),
    Code(
        codes.MODEL_REFUSED,
        "model refused",
        "The model declined to answer, or a filter of the provider blocked the request or the answer. The same "
        "request would be refused again, so it is not retried; if the step lists further models, the next one is "
        "called. Change the prompt or its content.",
    ),
    Code(
        codes.MODEL_REQUEST_REJECTED,
        "model request rejected",
        "The provider rejected the request: the key is invalid or has no access to the model, the model does not "
        "exist, the text exceeds the context of the model, or a setting is not supported. The same request would be "
        "rejected again, so it is not retried. The help names what to fix; then resume the run.",
    ),
    Code(
        codes.INVALID_MODEL_ANSWER,
        "invalid model answer",
        "The answer does not have the required form: it is not JSON, does not match the schema, or was cut off "
        "because it reached `max_tokens`. Another attempt may succeed. Otherwise raise `max_tokens`, simplify the "
        "schema, or use a larger model.",
    ),
    Code(
        codes.BUDGET_EXCEEDED,
        "budget exceeded",
        "The next model call could cost more than the remaining budget, so it is not made. Paid answers are "
        "recorded: raise the budget and resume the run, and no answer is paid for twice.",
    ),
    Code(
        codes.MODEL_NOT_FOUND,
        "model not found",
        "The model cannot be called: there is no key for its provider, the provider or server is unknown, or the "
        "model lacks the capability, such as embeddings. Nothing was sent. The help names what to set; then resume "
        "the run.",
    ),
    Code(
        codes.CHECK_FAILED,
        "output check failed",
        "The output of the step does not pass its `check`: a condition is false, the schema does not match, or the "
        "judge score is too low. The model was given the reasons and called again, and so was each further model of "
        "the step; the warnings of the step list the reasons for every answer. `retry` and `on_failure` apply.",
    ),
    Code(
        codes.RECORDING_MISSING,
        "missing recording",
        "Recordings are replayed (`run --replay`, or a test with `models: replay`), and the directory contains no "
        "recording of this request: it was never recorded, or the prompt, the model or a setting has changed since. "
        "No model is called instead. The message names the closest recording and the differences. If the change is "
        "intended, record again with `run --record` or `test --update`.",
    ),
    Code(
        codes.MCP_SERVER_FAILED,
        "MCP server failed",
        "An MCP server that `orchestrator.toml` configures under `[mcp]` could not be started or reached, exited "
        "during a call, or reported an error. Fix the problem that the message describes and resume the run: calls "
        "that succeeded are not made again. Within an agent, the error is passed to the model, which may continue "
        "without the tool.",
    ),
    Code(
        codes.AGENT_UNFINISHED,
        "unfinished agent",
        "An agent used all of its `max_turns` turns, and its model still requested tools, or the last answer did not "
        "pass the `check` of the step. All turns are recorded: raise `max_turns` in the file, and `orchestrator "
        "resume RUN --with FILE` continues with the next turn. If the agent repeats itself, inspect its turns with "
        "`orchestrator show`, and change the prompt, the tools or the model.",
    ),
    Code(
        codes.ANSWER_TOO_LARGE,
        "answer too large",
        "A model server sent more than is accepted: more than 64 MiB in one call (after decompression), a body, line "
        "or event of more than a quarter of that, JSON of more than 200,000 objects and lists, more than a million "
        "tokens of text, or more than 1,000 parts. The connection was closed and nothing more was read. Check what "
        "the server sends. If its answers are supposed to be this large, raise `max_bytes` under `[servers.NAME]` in "
        "`orchestrator.toml`. The call is not retried; the next model of the step is called.",
    ),
    Code(
        codes.RESULT_TOO_LARGE,
        "result too large",
        "A step returned more than a run records: 100 million characters of JSON, unless `max_result` below `[run]` "
        "in `orchestrator.toml` sets another limit. Later steps and every process that resumes or inspects the run "
        "would have to hold the result in memory. The step fails, and its whole result is in the file that the "
        "message names, so that no work is lost. Return less from the step, or let it write a file and return the "
        "path.",
    ),
    Code(
        codes.FILE_NOT_PRODUCED,
        "file not produced",
        "A step has ended without a file that it declares in `produces`. Its `retry` makes further attempts. Paths are "
        "relative to the directory of the run.",
        remedy="check where the step writes the file, or correct the path",
    ),
    Code(
        codes.INVALID_LIMIT,
        "computed limit out of range",
        'A limit of a step is a template, such as `max_iterations: "{{ rounds }}"`, and its value is not a limit: not '
        "a number of the type that the key requires, or out of range. It is computed once, when the step begins.",
    ),
    Code(
        codes.DATABASE_FAILED,
        "database failed",
        "The tool `sql` could not read or write a database: the address, the SQL or a value is wrong, or the database "
        "refused it. What a database may be is said in `[databases]` of orchestrator.toml. Nothing of the call was "
        "written, as each is one transaction. If the database could not be reached or was busy, `retry` tries again.",
        remedy="correct what the message names, and resume the run",
    ),
    Code(
        codes.MAIL_FAILED,
        "mail failed",
        "The tool `email` could not send a mail: the server cannot be reached, refused the login or a recipient, or "
        "did not say whether it accepted the mail. Unless the message says so, nothing was sent, to any recipient. If "
        "the server could not be reached or was busy, `retry` tries again. Servers are in `[mail]` of "
        "orchestrator.toml.",
        remedy="correct what the message names, and resume the run",
    ),
    Code(
        codes.STORAGE_FAILED,
        "storage failed",
        "The tool `storage`, or `data` with an address such as `s3://bucket/key`, could not read or write an object: "
        "it does not exist, is too large, or the store refused or did not answer the request. Stores are in "
        "`[storage]` of orchestrator.toml. An object is written as a whole or not at all. If the store could not be "
        "reached or was busy, `retry` tries again.",
        remedy="correct what the message names, and resume the run",
    ),
    # --- 8xx: runs and the store
    Code(
        codes.RUN_NOT_FOUND,
        "run not found",
        "The store has no run with this id, or more than one id begins with these letters. Runs are looked up in one "
        "store: `.orchestrator/runs.db` below the working directory, unless `--store` or `ORCHESTRATOR_STORE` names "
        "another. The run may exist in the store of the directory in which it was started.",
    ),
    Code(
        codes.RUN_ID_TAKEN,
        "run id taken",
        "The id of the new run belongs to an existing run. Nothing was recorded, and the existing run is unchanged. "
        "Ids are random, so this practically never happens unless a program chooses its own ids: start the run "
        "again.",
    ),
    Code(
        codes.RUN_OWNED,
        "run owned by another process",
        "A run is executed by one process at a time, and that process is alive: it holds the lease of the run and "
        "renews it every few seconds. Otherwise two processes could execute the same step. Watch the run, or pause "
        "or cancel it from here. If its process dies, the run can be resumed immediately, or, if the process was on "
        "another machine, as soon as the lease expires.",
    ),
    Code(
        codes.RUN_NOT_RESUMABLE,
        "run not resumable",
        "The command needs a run that can still continue. A run that succeeded has nothing left to do, and a run "
        "that has ended cannot be paused. A run whose tools or permissions have changed so that its pipeline now "
        "means something else cannot be resumed as it is. `show` and `events` still work.",
    ),
    Code(
        codes.RUN_FAILED,
        "run failed",
        "A step failed, its attempts were used up, and nothing in the pipeline allows the run to continue without "
        "it. The error is raised where the result of the run is requested. It names the step and its error, and "
        "`result` holds what was achieved. Fix the cause and resume the run: steps that succeeded are not run again.",
    ),
    Code(
        codes.RUN_CANCELLED,
        "run cancelled",
        "The run was cancelled (with `orchestrator cancel`, Ctrl-C or `run.cancel()`), so it has no outputs. Running "
        "steps were stopped; completed steps are recorded, and `result` holds them. A cancelled run can be resumed.",
    ),
    Code(
        codes.RUN_PAUSED,
        "run paused",
        "The result of a run was requested, but the run is paused: nothing is running, and nothing new is started "
        "until the run is resumed. A run can stay paused for any time; everything is recorded, and no process has to "
        "stay alive.",
    ),
    Code(
        codes.RUN_INTERRUPTED,
        "run interrupted",
        "The process that executed the run exited, was killed or lost its machine before the run ended. Everything "
        "recorded until then is intact. Resume the run: steps that succeeded keep their results; a step that was "
        "running is run again from its start, so a step with external effects should be safe to repeat.",
    ),
    Code(
        codes.STEP_NOT_FOUND,
        "step not found",
        "The run has no step at this path, or the step has no shared result to refresh.",
    ),
    Code(
        codes.INCOMPATIBLE_PIPELINE,
        "incompatible pipeline",
        "The edited pipeline requires other inputs than the run was created with.",
    ),
    Code(
        codes.STORE_UNAVAILABLE,
        "store unavailable",
        "The database of the runs cannot be opened, or failed during use: the address is wrong, the directory is not "
        "writable, the server does not respond, or the file is damaged. Without the store no step is started, as "
        "nothing could be recorded. Everything recorded before is intact; when the store is available again, resume "
        "the run.",
    ),
    Code(
        codes.STORE_LOCKED,
        "store locked",
        "Another program has locked the database for longer than the store waits: 5 seconds, unless the address sets "
        "another time (`?timeout=30`). The processes of Orchestrator do not block each other this way: look for a "
        "database browser with an open transaction, a backup or a migration. Then try again, or resume the run.",
    ),
    Code(
        codes.FOREIGN_DATABASE,
        "foreign database",
        "The file or database exists but contains something else, so it was not changed. Name another file with "
        "`--store`; a file that does not exist is created.",
    ),
    Code(
        codes.DISK_FULL,
        "disk full",
        "The disk of the store has no room for the next event. A step counts as done only when its event is "
        "recorded, so the run stops here; everything recorded before is intact. Free some space and resume the run: "
        "the steps whose end could not be recorded are run again.",
    ),
    Code(
        codes.LEASE_LOST,
        "lease lost",
        "This process was suspended for longer than its lease, for example because the machine slept, and another "
        "process took over the run. Nothing that this process did since then is recorded, so that the run has a "
        "single history. The run continues in the other process: watch its status, and do not resume it here.",
    ),
    Code(
        codes.NEWER_STORE,
        "newer store",
        "A newer version of Orchestrator has written to this database, and this version cannot read its tables. "
        "Nothing was changed. Upgrade Orchestrator here as well, or use another store.",
    ),
    Code(
        codes.BATCH_NOT_FOUND, "batch not found", "The batch does not exist, or its rows have changed since it started."
    ),
    Code(
        codes.OPTIONS_REQUIRED_AGAIN,
        "options required again",
        "The run was started with options that go beyond `orchestrator.toml`: permissions, or tools that are not "
        "part of the project. A store may be shared, so a run cannot grant them to the user who resumes it. Repeat "
        "the options that the message names, or allow them in `orchestrator.toml`. Nothing has happened yet: an "
        "answer that was passed with the command was not recorded.",
    ),
    Code(
        codes.RUN_TIMEOUT,
        "run timeout",
        "The run took longer than the `timeout` of its pipeline, or than `--timeout` allows. Running steps were "
        "stopped, and `finally` was run. The time in which a run is paused or waits for an answer does not count; "
        "the time before a crash does. A run that is resumed after it has ended has the whole time again.",
    ),
    Code(
        codes.START_KEY_REUSED,
        "key of another start",
        "The key stands for one run: a start with the same key within 24 hours returns that run. It was used before "
        "with another pipeline, other inputs or other options, so the caller cannot mean the same run. Nothing was "
        "started. Choose a new key for each run.",
    ),
    Code(
        codes.WORKERS_ENDED,
        "run that ends its workers",
        "Several workers, one after the other, have ended while they executed the run, and it achieved nothing in "
        "between: perhaps a step takes all memory, or crashes the process. So that it does not end every worker, it is "
        "ended as failed. `orchestrator show` names the steps that were running. Resume it when the cause is gone: "
        "what it had achieved is kept.",
    ),
    # --- 9xx: installation, configuration and servers
    Code(
        codes.NOTICE_NOT_SENT,
        "notice not sent",
        "A target of notices cannot be used, or did not accept a notice: a variable that contains its address or its "
        "password is not set, it cannot be reached, or it refused the notice. A run never fails for this: it records "
        "the reason. `orchestrator notify TARGET` sends a test notice.",
    ),
    Code(
        codes.EXTRA_MISSING,
        "missing extra",
        "An optional part of Orchestrator is used, and its package is not installed in this environment. The help "
        "shows the command that installs it. `orchestrator doctor` lists the installed parts.",
    ),
    Code(
        codes.INVALID_CONFIGURATION,
        "invalid configuration",
        "`orchestrator.toml` or an option has an unknown key or an invalid value. Nothing was started: a misspelt "
        "permission must not silently grant or deny access. The message names the place.",
    ),
    Code(
        codes.TOOLS_NOT_LOADABLE,
        "tools cannot be loaded",
        "A module or file that `--tools` or `orchestrator.toml` names cannot be imported: it does not exist, needs a "
        "package that is not installed, or raises an error. Modules are also looked up in the directory of the "
        "project; name a file with its `.py` suffix. To see the whole error, run the file with Python.",
    ),
    Code(
        codes.INVALID_TOOL,
        "invalid tool definition",
        "A function or class is registered as a tool, but its signature does not declare what a pipeline can pass. "
        "Every parameter needs a type that YAML can express, because `check` compares the pipeline with these types "
        "before anything runs. The message names the file, the line and the parameter.",
    ),
    Code(
        codes.NOT_AUTHENTICATED,
        "not authenticated",
        "The server does not know who sends the request: it has no token, or one that is unknown, expired or revoked. "
        "Send a token as `Authorization: Bearer TOKEN`, or log in on the page. A server on the same machine writes its "
        "first token to a file that the command reads by itself; `orchestrator tokens add` makes further ones.",
    ),
    Code(
        codes.SCOPE_MISSING,
        "missing scope",
        "The token is valid, but does not permit this. The scopes are `read` (see pipelines and runs), `run` (start "
        "and control them), `answer` (answer questions) and `admin` (everything, also pipelines that the request "
        "contains). `orchestrator tokens list` shows the scopes of each token.",
    ),
    Code(
        codes.REQUEST_REFUSED,
        "request refused",
        "The server refuses the request because of its origin, its size or its own state: the `Host` is not one of the "
        "server's names, a page of another site sent it, the body is over the limit, there were too many failed "
        "logins, the server executes as many runs as it may, or it is shutting down. Nothing was done. Names, "
        "origins and `max_runs` are set in `[serve]` of `orchestrator.toml`.",
    ),
    Code(
        codes.INVALID_REQUEST,
        "invalid request",
        "The request is not what the server's API describes: its body is not JSON, a field is unknown or has the wrong "
        "type, or the path does not exist. Nothing was done. The description of the API is at `/v1/openapi.json`.",
    ),
    Code(
        codes.NOT_SERVED,
        "not served",
        "The server offers no pipeline with this name, or no such file of a run. It offers the pipelines in the "
        "directories that `[serve]` of `orchestrator.toml` lists as `pipelines`, and of the files that a run wrote "
        "those below its `outputs` that have not changed since. A pipeline that the request contains can only be "
        "started with the scope `admin`.",
    ),
    Code(
        codes.LOGIN_FAILED,
        "login failed",
        "The identity provider in `[serve.oidc]` of `orchestrator.toml` did not confirm the login: it could not be "
        "reached, its response is not valid, or it is the response to a login that was begun in another browser, or "
        "that is over. No one was logged in. Log in again; if it fails each time, compare `issuer`, `client_id` and "
        "`url` with what the provider has registered.",
    ),
    Code(
        codes.SERVER_UNREACHABLE,
        "server unreachable",
        "The server cannot be reached, or the connection was lost before it answered and the request cannot be "
        "repeated safely: then look at the run before you repeat the command. A client waits for a server that has "
        "answered before and is restarted, by default for a minute (`orc.connect(url, patience=...)`). Start a server "
        "with `orchestrator serve`.",
    ),
    Code(
        codes.NOT_OVER_HTTP,
        "not possible with a server",
        "The command, or an option of it, does not work with `--server`: `prune`, `store`, `lock` and `tokens` need "
        "the database itself, and a server executes runs with its own tools, permissions and models. Give the database "
        "with `--store`, leave the option out, or configure the server in its `orchestrator.toml`.",
    ),
    Code(
        codes.TRIGGER_NOT_FOUND,
        "trigger not found",
        "No pipeline that the server offers has this trigger. A trigger is named by its pipeline and its own name, "
        "such as `report/nightly`; `orchestrator triggers list` lists all of them.",
    ),
    Code(
        codes.DELIVERY_REFUSED,
        "delivery refused",
        "A server refuses a delivery to a webhook: its signature does not match, its timestamp is too far from the "
        "time of the server, its id was used for another delivery, or the trigger is paused. Nothing was started.",
    ),
    Code(
        codes.CANNOT_LISTEN,
        "server cannot listen",
        "The server cannot listen at its `host` and `port`: the port is in use by another server or program, or is "
        "reserved for the system, or the host is not an address of this machine. Nothing was started. Give another "
        "port or host to `orchestrator serve`, or set them in `[serve]` of `orchestrator.toml`; the port 0 is a free "
        "one.",
    ),
    Code(
        codes.NOT_ASSIGNED,
        "question for others",
        "The question has an `assignee`, and the sender of the request is neither one of these people nor a member of "
        "one of these groups. `[serve.groups]` in `orchestrator.toml` lists the members of each group (`finance = "
        '["ada"]`) by the names of their tokens and logins. Callers with the scope `admin` can answer every question.',
    ),
    Code(
        codes.INTERNAL_ERROR,
        "internal error",
        "A bug in Orchestrator. Everything recorded is intact, and an interrupted run can be resumed. If the message "
        "names a file with details, report the bug with that file, or with the output of `ORCHESTRATOR_DEBUG=1`. "
        "This page has no example, because known bugs are fixed.",
    ),
)

CODES = {entry.code: entry for entry in _TABLE}
