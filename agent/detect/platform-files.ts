/** Files that configure an app for another platform. orkestr reads none of them, and names what they would do there. */
import { posix } from 'node:path';
import type { DetectedApp, StatedSettings } from './detector.ts';
import type { RepositoryView } from './repository.ts';

interface PlatformFile {
  readonly path: string;
  readonly platform: string;
  /** Files that use the same name for something else lack `marker`, or have `foreign`. */
  readonly marker?: RegExp;
  readonly foreign?: RegExp;
  /** What the file may set, and how that is recognized. A file that sets none of it needs no warning. */
  readonly parts: readonly (readonly [part: string, pattern: RegExp])[];
  /** The Dockerfile that it names. */
  readonly dockerfile?: RegExp;
}

const DOCKERFILE_PATH = /["']?\bdockerfile_?path["']?\s*[:=]\s*["']?([^\s"',]{1,200})/i;

const RAILWAY: Omit<PlatformFile, 'path'> = {
  platform: 'Railway',
  parts: [
    ['commands', /\b(?:build|start)Command\b/],
    ['release command', /\bpreDeployCommand\b/],
    ['schedule', /\bcronSchedule\b/],
    ['health check', /\bhealthcheckPath\b/],
  ],
  dockerfile: DOCKERFILE_PATH,
};

const FILES: readonly PlatformFile[] = [
  {
    path: 'captain-definition',
    platform: 'CapRover',
    parts: [
      ['Dockerfile', /"dockerfileLines"/],
      ['image', /"imageName"/],
      ['template', /"templateId"/],
    ],
    dockerfile: DOCKERFILE_PATH,
  },
  {
    path: 'app.json',
    platform: 'Heroku, Dokku',
    // Expo and React Native have an app.json too.
    foreign: /"(?:expo|displayName)"\s*:/,
    parts: [
      ['deployment scripts', /"(?:predeploy|postdeploy)"\s*:/],
      ['schedule', /"cron"\s*:/],
      ['processes', /"formation"\s*:/],
      ['add-ons', /"addons"\s*:/],
      ['variables', /"env"\s*:/],
      ['health checks', /"healthchecks"\s*:/],
    ],
  },
  {
    path: 'heroku.yml',
    platform: 'Heroku',
    parts: [
      ['add-ons', /^[ \t]+addons:/m],
      ['variables', /^[ \t]+config:/m],
      ['release command', /^release:/m],
      ['processes', /^run:/m],
    ],
    dockerfile: /^[ \t]+web:\s*["']?(\S{0,190}Dockerfile[^\s"']{0,40})/m,
  },
  {
    path: 'fly.toml',
    platform: 'Fly.io',
    parts: [
      ['release command', /^[ \t]*release_command\s*=/m],
      ['processes', /^[ \t]*\[processes\]/m],
      ['volumes', /^[ \t]*\[\[?mounts\]/m],
      ['variables', /^[ \t]*\[env\]/m],
      ['files', /^[ \t]*\[\[(?:files|statics)\]/m],
      ['health checks', /^[ \t]*\[\[?(?:(?:http_service|services)\.)?(?:\w+_)?checks[\].]/m],
    ],
    dockerfile: /^[ \t]*dockerfile\s*=\s*["']([^"'\n]{1,200})/m,
  },
  {
    path: 'render.yaml',
    platform: 'Render',
    parts: [
      ['commands', /^[ \t-]+(?:build|start)Command:/m],
      ['release command', /^[ \t-]+preDeployCommand:/m],
      ['workers and schedules', /^[ \t-]+type:\s*["']?(?:worker|cron)\b/m],
      ['disks', /^[ \t-]+disk:/m],
      ['databases', /^databases:|^[ \t-]+type:\s*["']?(?:keyvalue|redis)\b/m],
      ['variables', /^[ \t-]+envVars:/m],
      ['health check', /^[ \t-]+healthCheckPath:/m],
    ],
    dockerfile: DOCKERFILE_PATH,
  },
  { path: 'railway.json', ...RAILWAY },
  { path: 'railway.toml', ...RAILWAY },
  {
    path: 'nixpacks.toml',
    platform: 'Nixpacks',
    parts: [
      ['packages', /^[ \t]*(?:nixPkgs|nixLibs|aptPkgs)\s*=/m],
      ['build commands', /^[ \t]*cmds\s*=/m],
      ['start command', /^[ \t]*\[start\]/m],
      ['variables', /^[ \t]*\[variables\]/m],
    ],
  },
  {
    path: 'config/deploy.yml',
    platform: 'Kamal',
    marker: /^service:/m,
    parts: [
      ['other processes', /^ {2,4}(?:jobs?|workers?|cron|sidekiq):/m],
      ['volumes', /^volumes:/m],
      ['accessories', /^accessories:/m],
      ['variables', /^env:/m],
      ['proxy', /^proxy:/m],
    ],
    dockerfile: /^[ \t]+dockerfile:\s*["']?([^\s"']{1,200})/m,
  },
  {
    path: '.do/app.yaml',
    platform: 'DigitalOcean App Platform',
    parts: [
      ['commands', /^[ \t-]+(?:build|run)_command:/m],
      ['jobs', /^jobs:/m],
      ['workers', /^workers:/m],
      ['databases', /^databases:/m],
      ['variables', /^[ \t-]*envs:/m],
      ['health check', /^[ \t-]+health_check:/m],
    ],
    dockerfile: DOCKERFILE_PATH,
  },
  {
    path: 'vercel.json',
    platform: 'Vercel',
    parts: [
      ['schedules', /"crons"\s*:/],
      ['redirects, rewrites and headers', /"(?:redirects|rewrites|headers|routes)"\s*:/],
      ['functions', /"functions"\s*:/],
      ['commands', /"(?:build|install)Command"\s*:/],
      ['variables', /"env"\s*:/],
    ],
  },
  {
    path: 'netlify.toml',
    platform: 'Netlify',
    parts: [
      ['build command', /^[ \t]*command\s*=/m],
      ['redirects and headers', /^[ \t]*\[\[(?:redirects|headers)\]\]/m],
      ['functions', /^[ \t]*\[\[?(?:functions|edge_functions)\b/m],
      ['plugins', /^[ \t]*\[\[plugins\]\]/m],
      ['variables', /^[ \t]*\[[\w.-]*environment\]/m],
    ],
  },
];

interface Chosen {
  readonly stated: StatedSettings;
  /** Absent if there is no plan. */
  readonly dockerfile?: DetectedApp['dockerfile'];
}

/** One warning about all such files that set something, and a Dockerfile that one of them names; or none. */
export async function platformWarning(repository: RepositoryView, chosen: Chosen): Promise<string[]> {
  const found: string[] = [];
  let named = '';
  for (const file of FILES) {
    const text = await textOf(repository, file);
    if (text === null) continue;
    const parts = file.parts.filter(([, pattern]) => pattern.test(text)).map(([part]) => part);
    const other = await otherDockerfile(repository, file, text, chosen);
    if (other !== null)
      named ||= ` ${file.path} names a Dockerfile: to build it, set "dockerfile": "${other}" in orkestr.json.`;
    if (parts.length > 0) found.push(`${file.path} (${file.platform}: ${parts.join(', ')})`);
    else if (other !== null) found.push(`${file.path} (${file.platform})`);
  }
  if (found.length === 0) return [];
  return [
    `orkestr does not read ${found.join(', ')}. What the app needs of it, set in the environment: docs/analyze.md, "Files of other platforms".${named}`,
  ];
}

/** Its text without comments of YAML and TOML; null if there is no such file, or another tool's. */
async function textOf(repository: RepositoryView, { path, marker, foreign }: PlatformFile): Promise<string | null> {
  const text = (await repository.text(path))?.replaceAll(/^[ \t]*#.*$/gm, '') ?? null;
  return text === null || marker?.test(text) === false || foreign?.test(text) === true ? null : text;
}

/** A Dockerfile of the repository that the file names, if the plan builds another one that nobody chose. */
async function otherDockerfile(
  repository: RepositoryView,
  { dockerfile: pattern }: PlatformFile,
  text: string,
  { stated, dockerfile }: Chosen,
): Promise<string | null> {
  const said = pattern?.exec(text)?.[1];
  if (said === undefined || stated.dockerfile !== undefined || stated.detector !== undefined) return null;
  const path = posix.normalize(said);
  const isBuilt = dockerfile?.origin === 'repository' && dockerfile.path === path;
  return !isBuilt && /^[\w./-]+$/.test(path) && !path.startsWith('..') && (await repository.has(path)) ? path : null;
}
