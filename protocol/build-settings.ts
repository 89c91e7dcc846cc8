/** How an app is built and started, as a person can set it: in `orkestr.json`, or in the settings of an environment. */
import { z } from 'zod';
import { EnvName, Port, RepositoryPath } from './ids.ts';

/** A single-line command to put after RUN: no options of RUN, no continuation, no here-document. */
const BuildCommand = z
  .string()
  .max(2000)
  .regex(/^[^\s-][^\r\n\0]*$/, 'one line that does not start with a dash')
  .refine((line) => !line.endsWith('\\') && !line.includes('<<'), 'no line continuation and no here-document');

/** `22`, `3.12`, `>=20 <23`: a version or a range, in the notation of the runtime's own files. */
const VersionRange = z
  .string()
  .max(100)
  .regex(/^[0-9A-Za-z.^~<>=!|*, +-]+$/, 'a version or a version range');

/** A stage of a Dockerfile: its name after AS, or its number from 0. */
export const StageName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'a stage of the Dockerfile');

/** `ARG`s of a Dockerfile. The image's history contains them, so they must not be secret. */
export const BuildArgs = z
  .record(
    EnvName,
    z
      .string()
      .max(8192)
      .regex(/^[^\0]*$/),
  )
  .refine((args) => Object.keys(args).length <= 100, 'at most 100 build args');

/** Each setting overrides what was detected. */
export const buildSettings = {
  dockerfile: RepositoryPath.describe('Dockerfile to build, from the root directory').optional(),
  target: StageName.describe('Stage of the Dockerfile to build: its name, or its number from 0').optional(),
  buildArgs: BuildArgs.describe('ARGs of the Dockerfile, by name; nothing secret').optional(),
  detector: z
    .string()
    .regex(/^[a-z]{2,20}$/)
    .describe('The only detector to ask: node, python, …')
    .optional(),
  runtimeVersion: VersionRange.describe('Version of the runtime: 22, 3.12').optional(),
  installCommand: BuildCommand.describe('Installs dependencies').optional(),
  buildCommand: BuildCommand.describe('Builds the app, after the install').optional(),
  startCommand: z.string().min(1).max(2000).describe('Starts the app; it listens on $PORT').optional(),
  outputDirectory: RepositoryPath.describe('Folder of finished files: the app is served as a static site').optional(),
  singlePage: z.boolean().describe('Unknown paths of a static site get index.html').optional(),
};

export const BuildSettings = z.object(buildSettings);
export type BuildSettings = z.infer<typeof BuildSettings>;

/** `orkestr.json` in the root directory of an app. Settings of the environment override it. */
export const OrkestrJson = z
  .strictObject({
    $schema: z.string().max(500).optional(),
    rootDirectory: RepositoryPath.describe('Folder of the app; only at the root of the repository').optional(),
    ...buildSettings,
    port: Port.describe('Port that the app listens on').optional(),
  })
  .describe('How orkestr builds and starts this app.');
export type OrkestrJson = z.infer<typeof OrkestrJson>;

/** The JSON Schema (draft 2020-12) of orkestr.json, for editors. Published under docs/ and by the hub. */
export const orkestrJsonSchema = (): unknown => z.toJSONSchema(OrkestrJson, { io: 'input' });
