"""The codes of all diagnostics and errors, one line each. `orchestrator explain CODE` starts from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator import codes


@dataclass(frozen=True, slots=True)
class Code:
    """A stable code. `title` is a short noun phrase; `explanation` says why it matters and how to mend it.

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
        "file that cannot be read",
        "The path does not exist, is a directory, or is not UTF-8 text.",
    ),
    Code(codes.YAML_SYNTAX, "YAML syntax error", "The text is not valid YAML at this place."),
    Code(codes.TAB_INDENTATION, "tab in indentation", "YAML indents with spaces only."),
    Code(
        codes.UNQUOTED_TEMPLATE,
        "unquoted template",
        "A value that begins with `{{` or `{%` must be quoted, or YAML reads `{` as a mapping.",
    ),
    Code(codes.DUPLICATE_KEY, "duplicate key", "A mapping has the same key twice; only one of them could count."),
    Code(
        codes.FILE_TOO_LARGE,
        "file over its budget",
        "The file is too large, too deep, expands too much through aliases, or has more problems than are listed.",
    ),
    Code(codes.UNKNOWN_ALIAS, "unknown alias", "An alias (`*name`) has no anchor (`&name`) before it."),
    Code(
        codes.NOT_A_MAPPING,
        "not one mapping",
        "A pipeline file holds exactly one YAML document, and that is a mapping.",
    ),
    Code(codes.UNSUPPORTED_YAML, "unsupported YAML", "A tag, or a key that is not text."),
    # --- 2xx: structure
    Code(codes.UNKNOWN_KEY, "unknown key", "This key is not part of the language here."),
    Code(
        codes.WRONG_TYPE,
        "wrong type",
        "The value of this key has another type than the language asks for.",
        remedy="write the value as the message says; `orchestrator schema` lists the keys and their types",
    ),
    Code(codes.MISSING_KEY, "missing key", "A key that the language requires is not there."),
    Code(codes.DUPLICATE_STEP_ID, "duplicate step id", "Two steps have the same id."),
    Code(
        codes.VALUE_NOT_ALLOWED,
        "value not allowed",
        "The value is not one of those allowed here, or out of bounds.",
        remedy="write one of the values that the message allows",
    ),
    Code(
        codes.INVALID_DURATION,
        "bad duration",
        "A duration is a number of seconds or a text such as `30s`, `5m`, `1h30m`.",
    ),
    Code(codes.CONFLICTING_KEYS, "two spellings of one thing", "Two keys at one place mean the same."),
    Code(
        codes.INVALID_DEFAULT,
        "default that violates its own spec",
        "The default of an input does not satisfy the input's own type or limits.",
    ),
    Code(codes.INVALID_NAME, "bad name", "An id or name has characters that are not allowed, or is a reserved word."),
    Code(codes.STEP_WITHOUT_WORK, "step without work", "A step has neither `tool` nor `action`."),
    Code(
        codes.AMBIGUOUS_NAME,
        "name used twice",
        "An input, a variable and a step share one name, so a reference to it would be ambiguous.",
    ),
    Code(
        codes.SEVERAL_KINDS_OF_WORK,
        "two kinds of work",
        "A step does one thing: it calls a tool, or loops, or asks, or groups steps.",
    ),
    Code(
        codes.KEY_WITHOUT_EFFECT, "key without effect here", "This key means something for another kind of step only."
    ),
    # --- 3xx: names and expressions
    Code(
        codes.UNDEFINED_NAME,
        "undefined name",
        "An expression reads a name that is no input, variable, step or function.",
    ),
    Code(codes.UNKNOWN_STEP, "unknown step", "A step is named that does not exist."),
    Code(codes.UNKNOWN_FIELD, "unknown field", "A field is read that the value is declared not to have."),
    Code(codes.SELF_REFERENCE, "reference to itself", "A step reads or depends on itself."),
    Code(codes.DEPENDENCY_CYCLE, "dependency cycle", "Steps wait for one another in a circle."),
    Code(codes.UNKNOWN_JUMP_TARGET, "jump to a missing step", "A jump names a step that does not exist."),
    Code(
        codes.BACKWARD_JUMP,
        "jump backwards",
        "A jump goes to the step itself or to an earlier one; jumps only go forward.",
    ),
    Code(
        codes.NAME_OUT_OF_SCOPE,
        "name out of reach",
        "A step inside of another is read from outside of it; its values leave by the outer step.",
    ),
    Code(
        codes.MALFORMED_EXPRESSION,
        "malformed expression",
        "The text between the braces is not an expression.",
        remedy="an expression reads like `topic | upper`, `pages + 1` or `long if pages > 9 else short`",
    ),
    Code(
        codes.UNTERMINATED_EXPRESSION,
        "unterminated expression",
        "A `{{`, `{%` or `{#` is never closed, or a block never ended.",
    ),
    Code(codes.UNKNOWN_FILTER, "unknown filter", "No filter has this name."),
    Code(
        codes.WRONG_ARGUMENTS,
        "wrong arguments",
        "A filter, test, function or method is given arguments that it does not take.",
        remedy="give it the arguments that it takes; `orchestrator filters` lists them",
    ),
    Code(codes.UNKNOWN_TEST, "unknown test", "No test (`is ...`) has this name."),
    Code(
        codes.UNKNOWN_FUNCTION,
        "unknown function or method",
        "Only a fixed set of functions and methods can be called.",
        remedy="use a filter instead, as in `topic | upper`; `orchestrator filters` lists what can be called",
    ),
    Code(
        codes.INCOMPATIBLE_TYPES,
        "types that do not fit",
        "An operation is applied to types that it can never work on.",
        remedy="convert one of the values, for example with `| int`, `| string` or `| list`",
    ),
    Code(
        codes.UNSUPPORTED_TEMPLATE_FEATURE,
        "unsupported template feature",
        "A feature of Jinja2 that is left out on purpose; the help names the replacement.",
    ),
    # --- 4xx: tools
    Code(codes.UNKNOWN_TOOL, "unknown tool", "No tool has this name."),
    Code(codes.UNKNOWN_ACTION, "unknown action", "The tool has no action of this name."),
    Code(codes.UNKNOWN_PARAMETER, "unknown parameter", "The action takes no parameter of this name."),
    Code(codes.MISSING_PARAMETER, "missing parameter", "The action requires a parameter that is not given."),
    Code(codes.WRONG_PARAMETER_TYPE, "parameter of the wrong type", "The value can never be what the action asks for."),
    Code(codes.NOT_PERMITTED, "not permitted", "The call would be refused: access is denied unless it is allowed."),
    Code(codes.TOOL_EXTRA_MISSING, "missing extra", "The tool needs an optional part that is not installed."),
    Code(codes.ACTION_NOT_NAMED, "action not named", "The tool has several actions, and the step names none of them."),
    Code(
        codes.FILE_NOT_FOUND,
        "file that is not there",
        "A step that waits for no other reads a file that does not exist, so nothing in this pipeline can have made "
        "it. It may still come from elsewhere before the run, so this is a warning.",
        "warning",
    ),
    Code(
        codes.SHELL_INJECTION,
        "value in a shell command",
        "A shell reads all of its command: with `;`, `$(...)` or a quote in a value it runs something else. Inputs, "
        "secrets, answers of models and people, and results of other steps may hold anything, so they are given as "
        "items of a list, which no shell reads, or quoted with the filter `quote`.",
    ),
    Code(
        codes.CODE_INJECTION,
        "value in the text of code",
        "Python and SQL run all of their text: with a quote in a value they run something else. Inputs, secrets, "
        "answers of models and people, and results of other steps may hold anything, so they are given as values, "
        "with `inputs`: Python code reads `inputs`, and SQL reads `:name`. Numbers, booleans and words of an `enum` "
        "may stand in the text.",
    ),
    Code(
        codes.UNREADABLE_PIPELINE,
        "pipeline file that cannot be read",
        "The file that `pipeline:` names is not there or is no file.",
    ),
    Code(
        codes.RECURSIVE_PIPELINE,
        "pipeline that calls itself",
        "A pipeline reaches itself through `pipeline:`, without a limit.",
    ),
    Code(
        codes.MISSING_PIPELINE_INPUT,
        "missing input of a pipeline",
        "The called pipeline requires an input that is not given.",
    ),
    Code(codes.UNKNOWN_PIPELINE_INPUT, "unknown input of a pipeline", "The called pipeline has no input of this name."),
    Code(
        codes.UNUSABLE_AGENT_TOOL,
        "tool that an agent cannot be given",
        "`tools` of an agent lists what its model may ask for: tools and actions of this project, and servers of tools "
        "that `orchestrator.toml` has a table `[mcp.NAME]` for. One of those listed is not there.",
    ),
    Code(
        codes.MISPLACED_AUTO,
        "`<AUTO>` that cannot stand there",
        "`<AUTO>...</AUTO>` stands for a value that a model gives while the pipeline runs. It cannot stand where the "
        "value must be known before, such as ids, tools and limits, nor where it would have to be asked for at another "
        "time than right before its step; and it must say what is to be found out.",
        remedy="do as the help says; a step with `action: generate` can ask for any value, and others read it",
    ),
    Code(
        codes.INVALID_TEST_FILE,
        "wrong test file",
        "A `*.test.yaml` file says something that no test can do: a key that there is not, a step or an output that "
        "the pipeline does not have, an expectation of the wrong form. No case of the file is run, as a check that is "
        "misspelt must not be taken for one that passes.",
    ),
    Code(
        codes.LOCK_MISMATCH,
        "lock that does not fit",
        "The file's lock holds an answer to a question that the file does not ask, or not any more, or one of another "
        "type, or to one that reads a secret, so a model is asked in a run. An error if the lock cannot be read.",
        "warning",
        remedy="`orchestrator lock FILE` brings the lock up to date",
    ),
    Code(
        codes.UNKNOWN_MODEL,
        "unknown model",
        "A model is named as `provider:model`, as one at a server of `orchestrator.toml`, or by its name alone where "
        "that is known. `orchestrator models` lists what is known; of a provider any model may be named, known or not.",
    ),
    Code(
        codes.MISSING_API_KEY,
        "missing key",
        "A model is named outright, and nothing here gives access to its provider. Keys are taken from the "
        "environment, else from the file that `orchestrator keys set` writes. Without a key write `model: auto`, or "
        "name a fallback.",
    ),
    Code(
        codes.PROVIDER_EXTRA_MISSING,
        "missing extra of a provider",
        "A model is named outright, and the packages that speak to its provider are not installed.",
    ),
    Code(
        codes.INCAPABLE_MODEL,
        "model that cannot do this",
        "The step needs something that the model certainly cannot do, so the call would fail after it was paid for. "
        "What is known of a model can be changed under `[models]` in `orchestrator.toml`.",
    ),
    Code(
        codes.INVALID_MODEL_OPTIONS,
        "bad budget, selection or requirements",
        "What a budget, `selection` or `requires_model` says cannot be kept: a limit below zero, a word or a key that "
        "means nothing, or a limit in USD for a model whose price nobody knows.",
    ),
    Code(
        codes.INVALID_OUTPUT_SCHEMA,
        "schema of an answer that is wrong",
        "The answer of a model is held to a schema: JSON Schema, or the short form `{title: string, score: number}`. "
        "A field that is named like something that every step has, such as `status`, is read below `data`: a warning.",
    ),
    Code(
        codes.INVALID_CHECK,
        "bad check",
        "`check` says what the output of a step must be: expressions in which it is `output`, a JSON Schema, or a "
        "rubric by which a model judges it.",
    ),
    # --- 5xx: warnings
    Code(codes.UNUSED_INPUT, "unused input", "No expression reads this input.", "warning"),
    Code(
        codes.UNGUARDED_NULL,
        "unguarded read of what may be null",
        "A step that is skipped is null, and so is in the first round what a loop carries on without an `initial`.",
        "warning",
    ),
    Code(codes.UNREACHABLE_STEP, "step that never runs", "The condition is always false.", "warning"),
    Code(codes.UNUSED_VARIABLE, "unused variable", "No expression reads this variable.", "warning"),
    Code(codes.WRONG_OUTPUT_TYPE, "output of the wrong type", "The output's value cannot have its declared type."),
    Code(
        codes.CONSTANT_OUTPUT,
        "output that refers to nothing",
        "The output is a constant; most often braces were forgotten.",
        "warning",
    ),
    Code(
        codes.TRANSFORMED_SECRET,
        "secret that is changed",
        "Values of secret inputs are recognised and redacted wherever they would be recorded. What a filter, a slice "
        "or `~` makes of a secret is another text, which nobody can recognise, so it would be stored and shown.",
        "warning",
    ),
    Code(
        codes.ENDLESS_LOOP,
        "loop that cannot end",
        "Nothing that the condition reads changes from one round to the next.",
        "warning",
    ),
    Code(
        codes.CONSTANT_COMPARISON,
        "comparison that is never true",
        "A value of a closed set (a status, an input with `enum`, a label, true or false) is compared with something "
        "that is not in the set, so the outcome is always the same.",
        "warning",
    ),
    Code(
        codes.UNANSWERED_QUESTION,
        "question that nothing waits for",
        "A step starts as soon as what it depends on has ended, wherever it stands in the file. Nothing reads the "
        "answer to this question, so the steps after it run before anybody has answered, whatever the answer is.",
        "warning",
    ),
    Code(
        codes.CACHED_SECRET,
        "secret in a cached step",
        "A cached result is found again by a digest of what the step is given. The digest of a secret would let "
        "anybody who reads the store try out likely ones, and a result with a secret in it is not recorded as it "
        "is. So a call that is given a secret, or returns one, is made every time, as if the step had no `cache`.",
        "warning",
    ),
    Code(
        codes.IMPLAUSIBLE_TIME,
        "time that cannot be meant",
        "A constant time lies before 2000: it has passed, so the step waits for nothing. Most often a date was written "
        "as a number, such as `20301201`, which counts seconds since 1970.",
        "warning",
    ),
    # --- 6xx: inputs of a run
    Code(
        codes.MISSING_INPUT,
        "missing input",
        "The pipeline requires an input, and neither the command line, an inputs file, an environment variable "
        "that the input names nor a default gives it. Inputs are checked before a run is recorded, so nothing has "
        "been started. Give it with `-i name=value` or `--inputs FILE`, or give the input a `default` or "
        "`required: false`.",
    ),
    Code(
        codes.UNKNOWN_INPUT,
        "unknown input",
        "A value is given under a name that the pipeline declares no input for, most often by a slip of the pen. "
        "Nothing has been started: a value that would be ignored is never what was meant. Correct the name, or "
        "declare it under `inputs`.",
    ),
    Code(
        codes.INVALID_INPUT,
        "invalid input",
        "A value is not of the type that its input declares, or breaks a limit such as `min`, `pattern` or "
        "`enum`; or an inputs file cannot be read. All inputs are checked at once before anything is recorded or "
        "run. Texts of `-i` are read by the declared type: lists and objects are written as JSON.",
    ),
    Code(
        codes.SECRET_REQUIRED_AGAIN,
        "secret needed again",
        "The value of an input that is declared `secret` is never written to the store, so a run that goes on in "
        "another process must be given it again. The run itself is untouched and can be resumed: give the same "
        "secret with `-i name=value`, or set the environment variable that the input names. Steps that had "
        "succeeded are not run again.",
    ),
    Code(
        codes.INVALID_ANSWER,
        "answer that does not fit",
        "The answer is not of the type that was asked for, or not one of the choices.",
    ),
    Code(
        codes.NO_OPEN_QUESTION, "question that nobody asked", "No step of the run waits for an answer under this path."
    ),
    # --- 7xx: failures of a step
    Code(
        codes.TOOL_FAILED,
        "tool failed",
        "The tool raised an error that has no more specific code: most often an exception of its own code. The "
        "attempt and its error are recorded; `retry` makes further attempts if the step has it, and `on_failure` "
        "decides whether the run then goes on. Mend the tool or what it is given and resume the run: steps that "
        "had succeeded keep their results. A tool of yours can raise `orchestrator.StepError` to say more than an "
        "exception does.",
    ),
    Code(
        codes.TIMEOUT,
        "timeout",
        "An attempt ran longer than the step's `timeout` (or the tool's own), and was stopped. It counts as a "
        "failed attempt, so `retry` makes another if the step has it. What the tool had done outside of the run "
        "until then, such as files it wrote, is not undone. If the cause has passed, resume the run; with a "
        "longer `timeout` in the file, by `orchestrator resume RUN --with FILE`.",
    ),
    Code(
        codes.PERMISSION_DENIED,
        "permission denied",
        "A tool was about to use a path, a program or a host that this run is not allowed to use, and was refused "
        "before it did anything. Access is denied unless it is granted, because what a path or an address is may "
        "be known only from the data of the run. It is not tried again. Grant it with the option that the help "
        "names, or lasting under `[allow]` in `orchestrator.toml`, and resume the run.",
    ),
    Code(
        codes.EVALUATION_FAILED,
        "expression failed",
        "An expression was sound when the pipeline was checked, but cannot be evaluated with the values of this "
        "run: a division by zero, the first item of an empty list, a field that is not there. It is not tried "
        "again, as the values would be the same. Guard the expression, for example with `default(...)` or `if ... "
        "else`, and go on with the edited file: `orchestrator resume RUN --with FILE`.",
    ),
    Code(
        codes.RESULT_NOT_JSON,
        "result not JSON",
        "Results are kept in the store as JSON data, so that the run can be resumed and other steps can read "
        "them. This tool returned something that has no such form: a connection, a file, bytes, NaN. The tool has "
        "run, and what it did is done; only its result is refused. Return text, numbers, lists, dicts, "
        "dataclasses or models instead, and resume the run.",
    ),
    Code(
        codes.HTTP_FAILED,
        "HTTP error",
        "The server answered with an error status, sent something that cannot be read, or could not be reached at "
        "all. What may pass by itself (a lost connection, a status such as 429 or 503) is tried again if the step "
        "has `retry`; what will not pass (404, 401) fails at once. When the server is well again, resume the run: "
        "only this step and those after it are run.",
    ),
    Code(
        codes.COMMAND_FAILED,
        "command failed",
        "A program that the step started ended with an exit status other than 0, or could not be started; the "
        "last lines that it wrote to its standard error are part of the message. `check: false` makes the status "
        "a result that the pipeline can look at, instead of a failure. Mend the command's cause and resume the "
        "run.",
    ),
    Code(
        codes.INVALID_PARAMETER,
        "invalid parameter",
        "What `check` cannot know it lets pass: a value that comes from another step, or from an input without a "
        "type. Now that it is known, it is not what the action asks for, so the tool was not called, and no "
        "further attempt is made. Declare types of inputs and of your tools' results, and `check` finds most of "
        "these before a run.",
    ),
    Code(
        codes.FILE_FAILED,
        "file error",
        "A file or directory that the step names could not be read, written or made: it is not there, is of "
        "another kind, or the system refuses this user. Relative paths start in the directory in which the run "
        "was started. Put the file where it is expected and resume the run.",
    ),
    Code(
        codes.INVALID_TOOL_INPUT,
        "bad input to a tool",
        "The tool was called in the right way, but its data cannot be processed as asked: a text that is no JSON, "
        "a table without the column, a path that cannot be read. The same data would fail again, so no further "
        "attempt is made. Mend the data, or the step that makes them: a run goes on with an edited pipeline by "
        "`orchestrator resume RUN --with FILE`.",
    ),
    Code(
        codes.TOO_MANY_ITERATIONS,
        "loop over its limit",
        "A `while` or `until` loop made `max_iterations` rounds and was not done.",
    ),
    Code(
        codes.TOO_FEW_ITEMS,
        "too few items",
        "A smaller share of the items of a loop succeeded than `min_success` asks for.",
    ),
    Code(
        codes.NOT_ITERABLE,
        "nothing to loop over",
        "`for_each` takes a list, an object or a range of at most 10 million numbers, and was given something else.",
    ),
    Code(
        codes.ITEMS_FILE_CHANGED,
        "file of items that changed",
        "The file that a loop reads is not the one that it began with.",
    ),
    Code(
        codes.PIPELINES_TOO_DEEP, "pipelines too deep", "A pipeline called itself more often than `max_depth` allows."
    ),
    Code(
        codes.INTERRUPTED_STEP,
        "step that was under way",
        "The process died while the step ran, and `on_resume: fail` forbids to run it again.",
    ),
    Code(
        codes.TOO_FEW_BRANCHES,
        "too few branches",
        "Too many branches failed for as many to succeed as `wait_for` asks for.",
    ),
    Code(codes.NOT_A_TIME, "not a time", "`wait_until` or `sleep` was given something that is no time or duration."),
    Code(
        codes.MODEL_FAILED,
        "model failed",
        "The provider of a model answered with something that has no more specific code. The attempt and its error "
        "are recorded; `retry` makes further attempts if the step has it. The message holds what the provider said.",
    ),
    Code(
        codes.MODEL_RATE_LIMITED,
        "model over its rate",
        "The provider refuses more requests, or more tokens, in this time than the account is allowed. The call is "
        "made again, if the step has `retry`, and not before the time that the provider names. If it goes on so, give "
        "the step a lower `max_parallel`, or a second model; if the message tells of a quota, the account has used it "
        "up, and only its owner can mend that.",
    ),
    Code(
        codes.MODEL_UNAVAILABLE,
        "model unavailable",
        "The provider could not be reached, broke the connection, took longer than the step allows, or answered that "
        "it is overloaded or ill. That passes by itself: the call is made again if the step has `retry`, or the next "
        "model of the list is asked. With a server of your own, see that it runs and that its `base_url` is right.",
    ),
    Code(
        codes.MODEL_REFUSED,
        "model refused",
        "The model declined to answer, or the provider's filter held the question or the answer back. The same "
        "question would be refused again, so it is not asked again; if the step lists further models, the next one is "
        "asked. Change the prompt, or what is put into it.",
    ),
    Code(
        codes.MODEL_REQUEST_REJECTED,
        "request that the model's provider rejects",
        "The provider understood that it was asked, and says that it will not answer a request like this: the key is "
        "wrong or may not use the model, there is no such model, the text is longer than the model can take, or a "
        "setting is not one of its. It would say the same again, so no further attempt is made. The help says what "
        "to mend; then resume the run.",
    ),
    Code(
        codes.INVALID_MODEL_ANSWER,
        "answer that is not valid",
        "The model was to answer in a given form, and did not: the answer is no JSON, does not satisfy the schema, or "
        "ended before it was complete, because it reached `max_tokens`. Another attempt may do better. Otherwise raise "
        "`max_tokens`, make the schema simpler, or take a larger model.",
    ),
    Code(
        codes.BUDGET_EXCEEDED,
        "budget used up",
        "The next call of a model could cost more than the budget has left, so it is not made. What was paid for is "
        "recorded: raise the budget and resume the run, and no answer is bought twice.",
    ),
    Code(
        codes.MODEL_NOT_FOUND,
        "model that is not there",
        "The model cannot be asked at all: its provider has no key here, no provider or server has this name, or it "
        "can do nothing of the kind, as a model without embeddings. Nothing was sent. The help says what to set; then "
        "resume the run.",
    ),
    Code(
        codes.CHECK_FAILED,
        "output that fails its check",
        "What the step made is not what its `check` asks for: a condition is false, the schema is not satisfied, or "
        "the judge gave too low a score. A model was told the reasons and asked again, and so was each further model "
        "that the step names; the step's warnings have every answer's reasons. `retry` and `on_failure` apply.",
    ),
    Code(
        codes.RECORDING_MISSING,
        "no recording of a request",
        "Recordings are played (`run --replay`, or a test with `models: replay`), and no recording in the directory is "
        "of this request: it was never recorded, or the prompt, the model or a setting has changed since. No model is "
        "asked in its place. The message names the nearest recording and what differs. If the change is meant, record "
        "anew with `run --record` or `test --update`.",
    ),
    Code(
        codes.MCP_SERVER_FAILED,
        "server of tools failed",
        "A server that `orchestrator.toml` names under `[mcp]` could not be started or reached, ended in the middle of "
        "a call, or answered that it could not do what it was asked. Mend what the message says and resume the run: "
        "calls that had succeeded are not made again. Within an agent such an error is told to the model, which may do "
        "without.",
    ),
    Code(
        codes.AGENT_UNFINISHED,
        "agent that came to no end",
        "An agent has made all of its `max_turns` turns, and its model still asked for tools, or the last answer did "
        "not pass the `check` of the step. All turns are recorded: give it more with a larger `max_turns` in the file "
        "and `orchestrator resume RUN --with FILE`, and it goes on with the next turn. If it goes round in circles, "
        "look at its turns with `orchestrator show`, and change the prompt, the tools or the model.",
    ),
    Code(
        codes.ANSWER_TOO_LARGE,
        "answer that is too large",
        "A model server sent more than an answer can have: more than 64 MiB in one call (after decompression), a body, "
        "line or event of more than a quarter of that, JSON of more than 200,000 objects and lists, more than a "
        "million tokens of text, or more than 1,000 parts. The connection was closed and nothing more was read. Look "
        "at what the server sends. If its answers are meant to be this large, raise `max_bytes` under `[servers.NAME]` "
        "in `orchestrator.toml`. No further attempt is made; the next model that the step names is asked.",
    ),
    Code(
        codes.RESULT_TOO_LARGE,
        "result that is too large",
        "A step returned more than a run records, which is 100 million characters of JSON unless `max_result` below "
        "`[run]` in `orchestrator.toml` says otherwise. The record is read by later steps, by whoever resumes the run "
        "and by those who look at it, and each would have to hold it in memory. The step fails, and all of its result "
        "is in the file that the message names, so that no work is lost. Let the step return less, or have it write a "
        "file and return the path.",
    ),
    # --- 8xx: runs and the store
    Code(
        codes.RUN_NOT_FOUND,
        "run not found",
        "No run in this store has the id, or more than one begins with the letters given. Runs are looked up in "
        "one store: `.orchestrator/runs.db` below the working directory, unless `--store` or `ORCHESTRATOR_STORE` "
        "names another. So the run may well be there, seen from the directory in which it was started.",
    ),
    Code(
        codes.RUN_ID_TAKEN,
        "run id taken",
        "A run was about to be recorded under an id that another run has. Nothing was recorded, and the other run "
        "is untouched. Ids are drawn at random, so this is next to impossible unless a program brings its own: "
        "start the run again.",
    ),
    Code(
        codes.RUN_OWNED,
        "run owned by another process",
        "A run is executed by one process at a time, and that process is alive: it holds the run's lease and "
        "renews it every few seconds. Otherwise two processes could execute the same step. Watch the run, pause "
        "or cancel it from here, or wait: if its process dies the run can be resumed at once, or if that was on "
        "another machine, as soon as the lease has run out.",
    ),
    Code(
        codes.RUN_NOT_RESUMABLE,
        "run not resumable",
        "What was asked needs a run that can still go on. One that has succeeded has nothing left to do, and one "
        "that has ended cannot be paused; and a run whose tools or permissions have changed so that its pipeline "
        "now means something else does not go on as if nothing had happened. What the run has recorded remains "
        "readable with `show` and `events`.",
    ),
    Code(
        codes.RUN_FAILED,
        "run failed",
        "A step failed, its attempts were used up, and nothing in the pipeline said to go on without it; the "
        "run's result was asked for, so this is raised. It names the step and the error that it failed with, and "
        "its `result` holds what was achieved. Mend the cause and resume the run: steps that had succeeded are "
        "not run again.",
    ),
    Code(
        codes.RUN_CANCELLED,
        "run cancelled",
        "Somebody cancelled the run (with `orchestrator cancel`, Ctrl-C or `run.cancel()`), so it has no outputs. "
        "Running steps were stopped; what had succeeded is recorded, and `result` holds it. A cancelled run can "
        "be resumed.",
    ),
    Code(
        codes.RUN_PAUSED,
        "run paused",
        "The result of a run was asked for, but the run is paused: nothing is running, and nothing new is started "
        "until somebody resumes it. It can stay so for as long as you like; everything is recorded, and no "
        "process needs to live meanwhile.",
    ),
    Code(
        codes.RUN_INTERRUPTED,
        "run interrupted",
        "The process that executed the run ended, was killed or lost its machine before the run had ended. "
        "Everything recorded up to then is intact. Resume the run: steps that had succeeded keep their results; a "
        "step that was running is run again from its beginning, so one with effects outside should be safe to "
        "repeat.",
    ),
    Code(
        codes.STEP_NOT_FOUND,
        "no such step in the run",
        "A path was named that the run does not have, or where no result is shared that could be refreshed.",
    ),
    Code(
        codes.INCOMPATIBLE_PIPELINE,
        "pipeline that does not fit the run",
        "The edited pipeline needs other inputs than the run was created with.",
    ),
    Code(
        codes.STORE_UNAVAILABLE,
        "store unavailable",
        "The database that holds the runs cannot be opened, or failed while it was used: the address is wrong, "
        "the directory may not be written, the server does not answer, the file is damaged. Without it no step is "
        "started, as nothing could be recorded. What was recorded before is intact; when the store can be used "
        "again, resume the run.",
    ),
    Code(
        codes.STORE_LOCKED,
        "store locked",
        "Another program has locked the database for longer than the store waits, which is 5 seconds unless the "
        "address says otherwise (`?timeout=30`). Orchestrator's own processes do not block each other in this "
        "way: look for a database browser with an open transaction, a backup or a migration. Then try again, or "
        "resume the run.",
    ),
    Code(
        codes.FOREIGN_DATABASE,
        "foreign database",
        "The file or database exists but holds something else, so it is left as it is. Name another file with "
        "`--store`; a new one is made where there is none.",
    ),
    Code(
        codes.DISK_FULL,
        "disk full",
        "The disk that the store is on has no room for the next event. A step is only counted as done when that "
        "is recorded, so the run stops here rather than go on unrecorded; what was recorded before is intact. "
        "Free some space and resume the run: the steps whose end could not be recorded are run again.",
    ),
    Code(
        codes.LEASE_LOST,
        "lease lost",
        "This process stood still for longer than its lease, for example because the machine slept, and another "
        "process took the run over. Nothing that this one did since then is recorded, so that there is one "
        "history and not two. The run goes on over there: look at its status, and do not resume it here.",
    ),
    Code(
        codes.NEWER_STORE,
        "store of a newer version",
        "A newer Orchestrator has written to this database, and this one cannot know what its tables mean. It "
        "changes nothing. Upgrade Orchestrator here as well, or use a store of its own.",
    ),
    Code(codes.BATCH_NOT_FOUND, "no such batch", "No batch has this id, or its rows are others than when it began."),
    Code(
        codes.OPTIONS_REQUIRED_AGAIN,
        "options to give again",
        "The run was started with options that go beyond `orchestrator.toml`: permissions, or tools that are not part "
        "of the project. A store may be shared, so a run cannot grant them by itself to whoever resumes it. Repeat the "
        "options that the message names, or allow them in `orchestrator.toml`. Nothing has happened yet: an answer "
        "that came with the command was not taken.",
    ),
    Code(
        codes.RUN_TIMEOUT,
        "run over its timeout",
        "The run worked for longer than the `timeout` of its pipeline, or than `--timeout` allows. What was running "
        "was stopped, and `finally` was done. Time in which a run is paused, or waits for an answer, does not count; "
        "time before a crash does. A run that is resumed after it has ended has the whole time again.",
    ),
    # --- 9xx: installation and configuration
    Code(
        codes.EXTRA_MISSING,
        "missing extra",
        "A part of Orchestrator that is not needed by everybody is used, and the package that it builds on is not "
        "installed in this environment. The help is the command that installs it. `orchestrator doctor` lists "
        "which parts are there.",
    ),
    Code(
        codes.INVALID_CONFIGURATION,
        "wrong configuration",
        "`orchestrator.toml`, or an option, has a key or a value that is not known. "
        "Nothing was started: a permission that is misspelt must not be taken for one that is given, or withheld. "
        "The message names the place.",
    ),
    Code(
        codes.TOOLS_NOT_LOADABLE,
        "tools that cannot be loaded",
        "A module or file that `--tools` or `orchestrator.toml` names cannot be imported: it is not there, needs a "
        "package that is not installed, or raises an error of its own. Names of modules are looked up in the "
        "project's directory too; a "
        "file is named with its `.py`. To see the whole error, run the file with Python.",
    ),
    Code(
        codes.INVALID_TOOL,
        "wrong tool definition",
        "A function or class is offered as a tool, but its signature does not say what a pipeline may give it. "
        "Every parameter needs a type that YAML can express, because `check` compares the pipeline with these "
        "types before anything runs. The message names the file, the line and the parameter.",
    ),
    Code(
        codes.INTERNAL_ERROR,
        "internal error",
        "A mistake in Orchestrator itself. What was recorded is intact, and an interrupted run can be resumed. "
        "Where the message names a file with details, please report the mistake with that file, or with what "
        "`ORCHESTRATOR_DEBUG=1` prints. This page has no example: a known way to get here would have been mended.",
    ),
)

CODES = {entry.code: entry for entry in _TABLE}
