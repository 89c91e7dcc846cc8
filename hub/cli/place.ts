/** Finds the project and environment that a command is about. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OrkestrError } from '../../protocol/errors.ts';
import { Slug } from '../../protocol/ids.ts';
import { apiPath } from '../api/paths.ts';
import type { Context } from './context.ts';

export interface PlaceOptions {
  readonly project?: string;
  readonly environment: string;
}

/** Path of an environment in the API. */
export async function environmentPath(context: Context, options: PlaceOptions, ...rest: string[]): Promise<string> {
  const project = await projectName(context, options.project);
  return apiPath('projects', project, 'environments', options.environment, ...rest);
}

/** The given project, else that of this folder's git remote `orkestr`. */
export async function projectName(context: Context, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const remote = await remoteUrl(context.cwd);
  const found = remote === undefined ? undefined : projectOfRemote(remote, context.config.url);
  if (found !== undefined) return found;
  throw new OrkestrError('ORK_INVALID', 'No project given. Name it with --project.', {
    evidence: [
      remote === undefined
        ? 'This folder has no git remote called orkestr.'
        : `The git remote orkestr of this folder points to ${withoutUser(remote)}, not to a project on ${context.config.url}.`,
    ],
  });
}

/**
 * The project in `<hub>/git/<project>.git`; undefined for a URL of another hub, so that no command affects a project of
 * the same name.
 */
export function projectOfRemote(remote: string, hubUrl: string): string | undefined {
  if (!URL.canParse(remote)) return undefined;
  const url = new URL(remote);
  const hub = new URL(hubUrl);
  const prefix = `${hub.pathname.replace(/\/+$/, '')}/git/`;
  if (url.host !== hub.host || !url.pathname.startsWith(prefix)) return undefined;
  const slug = Slug.safeParse(url.pathname.slice(prefix.length).replace(/\.git\/?$/, ''));
  return slug.success ? slug.data : undefined;
}

async function remoteUrl(cwd: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('git', ['remote', 'get-url', 'orkestr'], { cwd, timeout: 5000 });
    return stdout.trim();
  } catch {
    return undefined; // no git, no repository or no such remote: the caller reports what is missing
  }
}

function withoutUser(remote: string): string {
  if (!URL.canParse(remote)) return remote;
  const url = new URL(remote);
  url.username = '';
  url.password = '';
  return url.toString();
}
