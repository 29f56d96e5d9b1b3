/** Scripts that complete `pawl` in a shell, made from the catalog. */
import type { Command, Option, Options, Positional } from "../catalog/command.ts";
import { CLIENT_OPTIONS, GLOBAL_OPTIONS } from "../catalog/common-options.ts";
import { COMMANDS, commonOptions } from "../catalog/index.ts";

const WRITERS: Readonly<Record<string, () => string>> = { bash, zsh, fish };

export function completionScript(shell: string): string {
  const write = WRITERS[shell];
  if (write === undefined) throw new Error(`There is no completion for ${shell}.`);
  return write();
}

/** What a value is completed with: words, files or folders. */
type Source = readonly string[] | "files" | "folders" | undefined;

function sourceOf(name: string, choices: readonly string[] | undefined): Source {
  if (choices !== undefined) return choices;
  if (name.endsWith("FILE")) return "files";
  return name === "DIR" ? "folders" : undefined;
}

function optionSource(option: Option): Source {
  return option.type === "string" ? sourceOf(option.value, option.choices) : undefined;
}

/** The first positional that can be completed stands for all of them. */
function positionalSource(positionals: readonly Positional[]): Source {
  return positionals.map(({ name, choices }) => sourceOf(name, choices)).find((one) => one);
}

function optionsOf(command: Command): [name: string, option: Option][] {
  return Object.entries({ ...command.options, ...commonOptions(command) });
}

function flagsOf(options: readonly (readonly [string, Option])[]): string[] {
  return options.flatMap(([name, { short }]) => [
    `--${name}`,
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
}

const NAMES = COMMANDS.map(({ name }) => name);

/** Short enough for a list of options. */
function firstSentence(text: string): string {
  return text.replace(/\.(\s.*)?$/s, "");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bash(): string {
  const reply = (source: Source): string => {
    if (source === undefined) return "return";
    if (source === "files")
      return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return';
    if (source === "folders")
      return 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return';
    return `COMPREPLY=($(compgen -W ${quote(source.join(" "))} -- "$cur")); return`;
  };
  const values = COMMANDS.flatMap((command) =>
    optionsOf(command)
      .filter(([, option]) => option.type === "string")
      .map((entry) => {
        const patterns = flagsOf([entry]).map((flag) => quote(`${command.name} ${flag}`));
        return `    ${patterns.join("|")}) ${reply(optionSource(entry[1]))} ;;`;
      }),
  );
  const commands = COMMANDS.map((command) => {
    const positional = positionalSource(command.positionals);
    const operand =
      positional === undefined ? "" : ` [[ $cur == -* ]] || { ${reply(positional)}; };`;
    return `    ${command.name})${operand} words=${quote(flagsOf(optionsOf(command)).join(" "))} ;;`;
  });
  const all = { ...CLIENT_OPTIONS, ...GLOBAL_OPTIONS };
  const start = [...NAMES, "help", "--version", ...flagsOf(Object.entries<Option>(all))];
  return `# Completion of pawl for bash, printed by \`pawl completion bash\`.
_pawl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command= words= i
  # Bash splits --option=value into three words.
  if [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  if [[ $cur == = ]]; then cur=; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      --server) i=$((i + 1)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  COMPREPLY=()
  case "$command $prev" in
${values.join("\n")}
  esac
  case $command in
    '') words=${quote(start.join(" "))} ;;
    help) words=${quote(NAMES.join(" "))} ;;
${commands.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _pawl pawl
`;
}

function zsh(): string {
  const escaped = (text: string): string => text.replaceAll(/[\\:[\]]/g, "\\$&");
  const action = (source: Source): string => {
    if (source === undefined) return " ";
    if (source === "files") return "_files";
    return source === "folders" ? "_files -/" : `(${source.join(" ")})`;
  };
  const specOf = ([name, option]: readonly [string, Option]): string => {
    const text = `[${escaped(firstSentence(option.help))}]`;
    const value =
      option.type === "string" ? `:${escaped(option.value)}:${action(optionSource(option))}` : "";
    const many = option.type === "string" && option.multiple === true ? "*" : "";
    return flagsOf([[name, option]])
      .map((flag) => quote(`${many}${flag}${text}${value}`))
      .join(" ");
  };
  const specsOf = (options: Options): string => Object.entries(options).map(specOf).join(" ");
  const commands = COMMANDS.map((command) => {
    // Without it, zsh stops offering options after the first argument.
    const operand = quote(`*:argument:${action(positionalSource(command.positionals))}`);
    const operands = command.positionals.length === 0 ? [] : [operand];
    const specs = [...optionsOf(command).map(specOf), ...operands];
    return `        ${command.name}) _arguments ${specs.join(" ")} ;;`;
  });
  const list = COMMANDS.map(({ name, summary }) => quote(`${name}:${summary}`));
  return `#compdef pawl
# Completion of pawl for zsh, printed by \`pawl completion zsh\`.
_pawl() {
  local state
  local -a commands
  _arguments -C ${specsOf({ ...CLIENT_OPTIONS, ...GLOBAL_OPTIONS })} '1: :->command' '*:: :->rest'
  case $state in
    command)
      commands=(${list.join(" ")})
      _describe command commands ;;
    rest)
      case $words[1] in
        help) _values command ${NAMES.join(" ")} ;;
${commands.join("\n")}
      esac ;;
  esac
}
if [ "$funcstack[1]" = _pawl ]; then
  _pawl "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
  compdef _pawl pawl
fi
`;
}

function fish(): string {
  const lineOf = (when: string, [name, option]: readonly [string, Option]): string => {
    const short = option.short === undefined ? "" : ` -s ${option.short}`;
    const source = optionSource(option);
    const values =
      option.type === "boolean"
        ? ""
        : source === "files"
          ? " -r -F"
          : source === "folders"
            ? " -x -a '(__fish_complete_directories)'"
            : ` -x${source === undefined ? "" : ` -a ${quote(source.join(" "))}`}`;
    return `complete -c pawl -n ${quote(when)} -l ${name}${short}${values} -d ${quote(firstSentence(option.help))}`;
  };
  const none = "__fish_use_subcommand";
  const commands = COMMANDS.flatMap((command) => {
    const when = `__fish_seen_subcommand_from ${command.name}`;
    const source = positionalSource(command.positionals);
    const head = `complete -c pawl -n ${quote(when)}`;
    const operand =
      source === undefined
        ? []
        : [
            `${head} ${source === "files" ? "-F" : source === "folders" ? "-a '(__fish_complete_directories)'" : `-a ${quote(source.join(" "))}`}`,
          ];
    return [...operand, ...optionsOf(command).map((entry) => lineOf(when, entry))];
  });
  return `# Completion of pawl for fish, printed by \`pawl completion fish\`.
complete -c pawl -f
${COMMANDS.map(({ name, summary }) => `complete -c pawl -n ${none} -a ${name} -d ${quote(summary)}`).join("\n")}
${Object.entries<Option>({ ...CLIENT_OPTIONS, ...GLOBAL_OPTIONS })
  .map((entry) => lineOf(none, entry))
  .join("\n")}
${commands.join("\n")}
`;
}
