/** `env set|unset|list`: the variables of an environment and its build secrets. Values are write-only. */
import { z } from 'zod';
import { Variable } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { EnvName } from '../../../protocol/ids.ts';
import { isPublicVariable } from '../../../protocol/public-variables.ts';
import { action, group, leaf, withPlace } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { parseEnvFile } from '../env-file.ts';
import { readFileOrStdin, readSecret } from '../input.ts';
import type { Output } from '../output.ts';
import { environmentPath } from '../place.ts';
import type { PlaceOptions } from '../place.ts';
import { count, formatAge } from '../text/format.ts';

type Options = PlaceOptions & { json?: boolean; build?: boolean; fromFile?: string };

const BUILD = ['--build', 'a build secret: visible to build commands only, not to the app'] as const;

const FILE_HELP = `
A .env file: NAME=VALUE lines, also with export before them; # comments. '…' and \`…\` are taken as they are, "…" with \\n, \\r,
\\t, \\", \\\\ and \\$ replaced; each may span lines. $NAME is not replaced. If any line cannot be used, nothing is changed.`;

export const addEnvCommands: AddCommands = (program, context, outcome) => {
  const env = group(program, 'env', 'Environment variables of the app, and secrets of its build.');

  const set = withPlace(
    leaf(env, 'set [assignments...]', 'Set variables; they take effect with the next deployment.', [
      'orkestr env set LOG_LEVEL=debug REGION=eu --project shop',
      'orkestr env set DATABASE_URL=- < url.txt          # the value comes from stdin, or is asked for',
      'orkestr env set DEBUG=1 --environment staging',
      'orkestr env set --from-file .env                  # all of its variables at once',
      'heroku config --json | orkestr env set --from-file -  # a JSON object, from stdin',
      'orkestr env set --build NPM_TOKEN=- < token.txt   # for `npm ci`, or RUN --mount=type=secret,id=NPM_TOKEN',
    ]),
  )
    .option(...BUILD)
    .option('--from-file <file>', 'a .env file, or - for stdin; NAME=VALUE beside it takes precedence')
    .addHelpText('after', FILE_HELP);
  action<Options>(set, context, outcome, async (output, options, assignments) => {
    await change(context, output, options, await readVariables(context, options, assignments));
  });

  const unset = withPlace(
    leaf(env, 'unset <names...>', 'Remove variables; this takes effect with the next deployment.', [
      'orkestr env unset DEBUG REGION',
      'orkestr env unset --build NPM_TOKEN',
    ]),
  ).option(...BUILD);
  action<Options>(unset, context, outcome, async (output, options, names) => {
    await change(context, output, options, new Map(names.map((name) => [variableName(name), null])));
  });

  const list = withPlace(
    leaf(env, 'list', 'List the names of the variables. Values are never shown.', ['orkestr env list --project shop']),
  );
  action<Options>(list, context, outcome, async (output, options) => {
    const path = await environmentPath(context, options, 'variables');
    show(context, output, await context.hub().get(path, z.array(Variable)));
  });
};

async function change(
  context: Context,
  output: Output,
  options: Options,
  variables: ReadonlyMap<string, string | null>,
): Promise<void> {
  const path = await environmentPath(context, options, 'variables');
  const kind = options.build === true ? 'build' : 'app';
  const now = await context.hub().patch(path, { kind, variables: Object.fromEntries(variables) }, z.array(Variable));
  show(context, output, now);
  const what = options.build === true ? 'build secret' : 'variable';
  const again = isOfBuild(options, variables) ? '' : ', or without a build: orkestr deploy --again';
  output.line(`\n${count(variables.size, what)} changed; active at the next deployment: orkestr deploy${again}`);
}

/** Public variables are compiled into the build, and build secrets are used there: both need a new build. */
const isOfBuild = ({ build }: Options, variables: ReadonlyMap<string, unknown>): boolean =>
  build === true || [...variables.keys()].some((name) => isPublicVariable(name));

function show(context: Context, output: Output, variables: Variable[]): void {
  output.object({ variables });
  if (variables.length === 0) output.line('No variables.');
  else {
    const rows = variables.map(({ name, kind, updatedAt }) => [name, kind, formatAge(updatedAt, context.now())]);
    output.table(['NAME', 'KIND', 'CHANGED'], rows);
  }
}

/** The variables of the file and, before those, of the arguments. */
async function readVariables(
  context: Context,
  { fromFile }: Options,
  assignments: string[],
): Promise<Map<string, string>> {
  if (fromFile === undefined && assignments.length === 0) {
    throw new OrkestrError('ORK_INVALID', 'Give variables as NAME=VALUE, or a .env file with --from-file.');
  }
  const given = await readAssignments(context, assignments, fromFile === '-' ? '--from-file' : undefined);
  if (fromFile === undefined) return given;
  const source = fromFile === '-' ? 'stdin' : fromFile;
  const inFile = parseEnvFile(await readFileOrStdin(context, fromFile), source);
  return new Map([...inFile, ...given]);
}

/** @param usesStdin what else reads stdin, for the message */
async function readAssignments(
  context: Context,
  assignments: string[],
  usesStdin: string | undefined,
): Promise<Map<string, string>> {
  const variables = new Map<string, string>();
  let fromStdin = usesStdin;
  for (const assignment of assignments) {
    const cut = assignment.indexOf('=');
    // The argument may be a secret without its name, so do not echo it.
    if (cut < 1) {
      throw new OrkestrError('ORK_INVALID', 'Give each variable as NAME=VALUE, or as NAME=- to read it from stdin.', {
        evidence: ['For the variables of a .env file: orkestr env set --from-file .env'],
      });
    }
    const name = variableName(assignment.slice(0, cut));
    let value = assignment.slice(cut + 1);
    if (value === '-') {
      if (fromStdin !== undefined) {
        throw new OrkestrError(
          'ORK_INVALID',
          `Only one value can come from stdin, but ${fromStdin} and ${name} both use it.`,
        );
      }
      fromStdin = name;
      value = await readSecret(context.terminal, `Value of ${name}: `);
    } else if (/^(["'`])[^]*\1$/.test(value)) throw quoted(name);
    variables.set(name, value);
  }
  return variables;
}

/** A shell removes the quotes that a user types: these come from a file, as with `env set $(cat .env)`. */
const quoted = (name: string): OrkestrError =>
  new OrkestrError('ORK_INVALID', `The value of ${name} begins and ends with a quote, which would be part of it.`, {
    evidence: [
      'For the variables of a .env file: orkestr env set --from-file .env',
      `For a value with these quotes: orkestr env set ${name}=- < FILE`,
    ],
  });

function variableName(text: string): string {
  const name = EnvName.safeParse(text);
  if (name.success) return name.data;
  throw new OrkestrError('ORK_INVALID', `"${text.slice(0, 130)}" is not a valid variable name.`, {
    evidence: name.error.issues.map((issue) => issue.message),
  });
}
