/** The .NET version of an app: SDK and runtime are Ubuntu packages, which exist only for LTS lines. */
import { z } from 'zod';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Stated } from '../detector.ts';
import { parseJsonWithComments } from '../manifests.ts';
import type { RepositoryView } from '../repository.ts';

const GlobalJson = z.looseObject({
  sdk: z.looseObject({ version: z.string().optional(), rollForward: z.string().optional() }).optional(),
});
type GlobalJson = z.infer<typeof GlobalJson>;

/** LTS lines with Ubuntu packages, the current one first. */
const LINES = [10, 8];
const CURRENT = 10;

interface DotnetVersion {
  /** `10.0` */
  readonly value: string;
  readonly from: string;
  /** The framework to publish for, if the project names several. */
  readonly target: string | null;
  /** The app targets another line than the one it runs on. */
  readonly rollsForward: boolean;
  /** A global.json without its SDK, if the requested SDK has no package. */
  readonly globalJson: string | null;
  readonly warnings: readonly string[];
}

async function readGlobalJson(repository: RepositoryView): Promise<GlobalJson | null> {
  const text = await repository.text('global.json');
  return text === null ? null : parseJsonWithComments('global.json', text, GlobalJson);
}

/** @throws OrkestrError ORK_MANIFEST_INVALID for a newer version than there is, or an unreadable global.json */
export async function versionOf(
  repository: RepositoryView,
  { path, text }: { readonly path: string; readonly text: string },
  stated: Stated<string> | undefined,
): Promise<DotnetVersion> {
  const global = await readGlobalJson(repository);
  const targets = await targetsOf(repository, text);
  const [target = ''] = targets;
  const { line, from } = lineOf([stated ?? sdkOf(global), { value: target, from: path }]);
  const written = target === '' ? line : firstNumber(target);
  const replaced = isPackaged(global, line) ? null : withoutSdk(global);
  return {
    value: `${line}.0`,
    from,
    target: targets.length > 1 ? target : null,
    rollsForward: written !== line,
    globalJson: replaced,
    warnings: [
      ...(written === line ? [] : [forwardWarning(path, written, line)]),
      ...(replaced === null ? [] : [sdkWarning(sdkOf(global).value, line)]),
    ],
  };
}

const sdkOf = (global: GlobalJson | null): Stated<string> => ({
  value: global?.sdk?.version ?? '',
  from: 'global.json',
});

const PACKAGED = `Ubuntu packages only ${LINES.join(' and ')}`;

const forwardWarning = (path: string, written: number, line: number): string =>
  `${path} targets .NET ${written}, but ${PACKAGED}. orkestr builds the app with .NET ${line} and runs it on that.`;

const sdkWarning = (sdk: string, line: number): string =>
  `global.json asks for the SDK ${sdk.slice(0, 60)}, but Ubuntu packages only ${line}.0.1xx, so orkestr builds the app with that. If the app needs the other SDK, add a Dockerfile.`;

/** Ubuntu packages only the first feature band of an SDK. */
function isPackaged(global: GlobalJson | null, line: number): boolean {
  const { value } = sdkOf(global);
  return value === '' || (new RegExp(`^${line}\\.0\\.1\\d\\d$`).test(value) && global?.sdk?.rollForward !== 'disable');
}

function withoutSdk(global: GlobalJson | null): string {
  const { sdk: _sdk, ...rest } = global ?? {};
  return `${JSON.stringify(rest, null, 2)}\n`;
}

/** `net9.0`, newest first, from the project or the properties shared by all projects. */
async function targetsOf(repository: RepositoryView, project: string): Promise<string[]> {
  for (const text of [project, (await repository.text('Directory.Build.props')) ?? '']) {
    const said = /<TargetFrameworks?>([^<]{1,200})</.exec(text)?.[1] ?? '';
    const found = said.match(/\bnet(?:coreapp)?\d{1,2}\.\d+(?![\w-])/g);
    if (found !== null) return found.toSorted((a, b) => firstNumber(b) - firstNumber(a));
  }
  return [];
}

/** The oldest line that satisfies all requests. */
function lineOf(asked: readonly Stated<string>[]): { readonly line: number; readonly from: string } {
  const [most] = asked
    .filter(({ value }) => !Number.isNaN(firstNumber(value)))
    .toSorted((a, b) => firstNumber(b.value) - firstNumber(a.value));
  if (most === undefined) return { line: CURRENT, from: 'default: the current LTS' };
  const value = most.value.slice(0, 60);
  const line = LINES.findLast((one) => one >= firstNumber(value));
  if (line !== undefined) return { line, from: `${most.from}: ${value}` };
  throw new OrkestrError(
    'ORK_MANIFEST_INVALID',
    `${most.from} asks for .NET ${value}, but ${PACKAGED}. Add a Dockerfile that starts from an image with that version.`,
  );
}

const firstNumber = (text: string): number => Number(/^\D{0,10}(\d{1,2})/.exec(text)?.[1] ?? Number.NaN);
