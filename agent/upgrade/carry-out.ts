/**
 * Carries an upgrade out, from the record of what was ordered to its end. It runs in a unit of its own and from the release
 * that is replaced, so it outlives the agent and does not depend on the new one. Killed at any point, it is started again
 * by systemd (also after a reboot: the agent's unit wants it) and goes on from what the record says.
 */
import { rmSync } from 'node:fs';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { timestamp } from '../lib/clock.ts';
import { forgetCopies } from './databases.ts';
import type { UpgradeParts } from './health.ts';
import { linkTo } from './layout.ts';
import type { Layout } from './layout.ts';
import { obtainRelease } from './obtain.ts';
import { isEnded, readUpgrade, writeUpgrade } from './record.ts';
import type { Upgrade } from './record.ts';
import { rehearse } from './rehearse.ts';
import { pruneReleases } from './releases.ts';
import { dropServed, publishServed } from './served.ts';
import { moveTo } from './switch.ts';

/** One that was killed twice while it switched is not tried a third time. */
const MOST_SWITCHES = 2;

/** @returns how it ended; null: there was nothing to do */
export async function carryOut(parts: UpgradeParts, say: (upgrade: Upgrade) => void): Promise<Upgrade | null> {
  const { layout } = parts;
  const ordered = readOrder(layout);
  const ended = ordered === null || isEnded(ordered) ? null : await new Carrier(parts, ordered, say).run();
  // Last: while it is there, nobody begins another one, and this one is gone on with; also when its end cannot be written.
  rmSync(layout.upgrader, { force: true });
  return ended;
}

/** @throws OrkestrError ORK_CONFIG when it is not readable: then nothing can be gone on with, and the next one may begin */
function readOrder(layout: Layout): Upgrade | null {
  try {
    return readUpgrade(layout.record);
  } catch (error) {
    rmSync(layout.upgrader, { force: true });
    throw error;
  }
}

class Carrier {
  readonly #parts: UpgradeParts;
  readonly #say: (upgrade: Upgrade) => void;
  #upgrade: Upgrade;

  constructor(parts: UpgradeParts, ordered: Upgrade, say: (upgrade: Upgrade) => void) {
    this.#parts = parts;
    this.#upgrade = ordered;
    this.#say = say;
  }

  async run(): Promise<Upgrade> {
    if (this.#upgrade.state !== 'switching') {
      try {
        await this.#prepare();
      } catch (error) {
        return this.#end({ state: 'failed', error: toErrorReport(error), doing: 'nothing was changed' });
      }
    }
    if (!this.#upgrade.goingBack) await this.#switch();
    if (this.#upgrade.goingBack) return this.#goBack();
    return this.#end({ state: 'healthy', doing: `orkestr ${this.#upgrade.version} runs` });
  }

  async #prepare(): Promise<void> {
    const { layout, config, clock } = this.#parts;
    const { version } = this.#upgrade;
    this.#become({ state: 'fetching', doing: `fetching orkestr ${version}` });
    await obtainRelease(layout, this.#upgrade, clock);
    this.#become({ state: 'trial', doing: `trying orkestr ${version} on this host` });
    await rehearse(layout, version);
    // Before the switch is written down: whoever has to repeat that cannot tell an earlier upgrade's copies from its own.
    forgetCopies(layout, config.stateFolder);
  }

  /** Afterwards the new release runs, or it is to go back. @throws before anything is touched, when that cannot be written down */
  async #switch(): Promise<void> {
    const { from, version, switches } = this.#upgrade;
    const isWornOut = switches >= MOST_SWITCHES;
    const doing = `switching to orkestr ${version}`;
    if (!isWornOut) this.#become({ state: 'switching', switches: switches + 1, doing });
    try {
      if (isWornOut) {
        throw new OrkestrError(
          'ORK_UPGRADE_INTERRUPTED',
          `The switch to ${version} was interrupted ${switches} times.`,
        );
      }
      await this.#moveThere(from, version);
    } catch (error) {
      this.#note({ goingBack: true, error: toErrorReport(error), doing: 'rolling back' });
    }
  }

  async #moveThere(from: string, version: string): Promise<void> {
    const { layout, config } = this.#parts;
    await moveTo(this.#parts, { from, to: version, back: false }, (doing) => this.#note({ doing }));
    await publishServed(layout, { from, version });
    linkTo(layout.previous, from);
    forgetCopies(layout, config.stateFolder);
  }

  async #goBack(): Promise<Upgrade> {
    const { from, version, error } = this.#upgrade;
    try {
      await moveTo(this.#parts, { from: version, to: from, back: true }, (doing) =>
        this.#note({ doing: `rolling back: ${doing}` }),
      );
    } catch (stuck) {
      return this.#end({ state: 'failed', doing: `orkestr ${from} does not start`, error: bothOf(error, stuck) });
    }
    return this.#end({ state: 'reverted', doing: `orkestr ${from} runs again` });
  }

  /** In the middle of a switch, which goes on also when the disk is full: whoever has to repeat it begins with what was written. */
  #note(change: Partial<Upgrade>): void {
    try {
      this.#become(change);
    } catch (error) {
      this.#say({ ...this.#upgrade, doing: `${this.#upgrade.doing} (not written down: ${(error as Error).message})` });
    }
  }

  #become(change: Partial<Upgrade>): void {
    const { layout, clock } = this.#parts;
    this.#upgrade = { ...this.#upgrade, ...change, changedAt: timestamp(clock.now()) };
    writeUpgrade(layout.record, this.#upgrade);
    this.#say(this.#upgrade);
  }

  /** What is left of a release that does not run goes before the end is told. */
  #end(change: Pick<Upgrade, 'state' | 'doing'> & Partial<Upgrade>): Upgrade {
    const { layout } = this.#parts;
    dropServed(layout);
    pruneReleases(layout);
    this.#become(change);
    return this.#upgrade;
  }
}

/** Why it was to go back, and why it could not. */
function bothOf(first: ErrorReport | null, stuck: unknown): ErrorReport {
  const { message, evidence } = toErrorReport(stuck);
  const why = first === null ? [] : [`before that: ${first.code}: ${first.message}`, ...first.evidence];
  return toErrorReport(new OrkestrError('ORK_UPGRADE_STUCK', message, { evidence: [...evidence, ...why] }));
}
