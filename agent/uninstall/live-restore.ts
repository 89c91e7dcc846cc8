/** Live-restore of Docker Engine, which the installation switched on: off again, without a restart of the engine. */
import { existsSync, readFileSync, unlinkSync } from 'node:fs';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import { systemClock } from '../lib/clock.ts';
import type { Engine } from '../lib/engine.ts';
import { exec, run } from '../lib/exec.ts';
import type { Exec } from '../lib/exec.ts';
import type { Cleanup } from './cleanup.ts';
import { readEngineSettings, takeBackEngineSettings, writeEngineSettings } from './engine-settings.ts';

const RELOAD_TIMEOUT_MS = 120_000;
/** `systemctl reload` does not wait until the engine has read its settings. */
const RELOAD_TRIES = 50;
const RELOAD_PAUSE_MS = 100;

interface EngineFiles {
  /** The engine's settings. */
  readonly settings: string;
  /** Written by installer/install/engine.sh: whether the engine had a settings file before, or a folder for it. */
  readonly were: string;
}

/**
 * On reload an engine keeps settings that the file does not mention, so the file must first say `false`. The file is
 * as before in any case; an engine that cannot be told keeps live-restore until its next start, which is a warning.
 * @throws OrkestrError ORK_CONFIG if the settings are not readable JSON; Error of the file system
 */
export async function takeBackLiveRestore(
  engine: Engine,
  files: EngineFiles,
  by: Exec = exec,
): ReturnType<Cleanup['run']> {
  if (!existsSync(files.were)) return 'not changed by the installation';
  const were = readFileSync(files.were, 'utf8').trim();
  const { 'live-restore': liveRestore, ...others } = readEngineSettings(files.settings);
  if (liveRestore !== true) return 'changed since by somebody else';
  writeEngineSettings(files.settings, { ...others, 'live-restore': false });
  const told = await reloadUntilOff(engine, by).then(
    (isOff) => `live-restore as before${isOff ? '' : ', once the engine is started again'}`,
    (error: unknown) => ({
      warning: `live-restore as before, once the engine is started again: ${toErrorReport(error).message}`,
    }),
  );
  takeBackEngineSettings(files.settings, were, others);
  unlinkSync(files.were);
  return told;
}

/**
 * False: the engine does not run, and reads its settings when it starts; or it has not read them yet.
 * @throws OrkestrError of a call of the engine, ExecError of the reload
 */
async function reloadUntilOff(engine: Engine, by: Exec): Promise<boolean> {
  try {
    if (!(await hasLiveRestore(engine))) return true;
    await run('systemctl', ['reload', 'docker.service'], { timeoutMs: RELOAD_TIMEOUT_MS }, by);
    for (let tries = 0; tries < RELOAD_TRIES; tries += 1) {
      if (!(await hasLiveRestore(engine))) return true;
      await systemClock.sleep(RELOAD_PAUSE_MS);
    }
    return false;
  } catch (error) {
    if (error instanceof OrkestrError && error.code === 'ORK_ENGINE_UNREACHABLE') return false;
    throw error;
  }
}

async function hasLiveRestore(engine: Engine): Promise<boolean> {
  const info: { LiveRestoreEnabled?: boolean } = await engine.call('read settings', (docker) => docker.info());
  return info.LiveRestoreEnabled === true;
}
