/**
 * Carries out an upgrade, from the record of the order to its end. It runs in a unit of its own and from the release
 * that is replaced, so it outlives the agent and does not depend on the new release. If it is killed at any point,
 * systemd restarts it (also after a reboot: the agent's unit wants it), and it continues from the record.
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

/** If the upgrader was killed twice during the switch, there is no third try. */
const MOST_SWITCHES = 2;

/** @returns how it ended; null: there was nothing to do */
export async function carryOut(parts: UpgradeParts, say: (upgrade: Upgrade) => void): Promise<Upgrade | null> {
  const { layout } = parts;
  const ordered = readOrder(layout);
  const ended = ordered === null || isEnded(ordered) ? null : await new Carrier(parts, ordered, say).run();
  // Last, and even if the end cannot be recorded: while the link exists, no other upgrade begins and this one resumes.
  rmSync(layout.upgrader, { force: true });
  return ended;
}

/**
 * @throws OrkestrError ORK_CONFIG if the record is not readable: this upgrade cannot be resumed, and the next one may
 *   begin
 */
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
    // Before the switch is recorded: a run that repeats it could not tell an earlier upgrade's copies from its own.
    forgetCopies(layout, config.stateFolder);
  }

  /** Afterwards the new release runs or `goingBack` is set. @throws before any change, if that cannot be recorded */
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

  /** During a switch, which continues even if the disk is full: a repeated run starts from the last state recorded. */
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

  /** Removes the files of a release that does not run before it records the end. */
  #end(change: Pick<Upgrade, 'state' | 'doing'> & Partial<Upgrade>): Upgrade {
    const { layout } = this.#parts;
    dropServed(layout);
    pruneReleases(layout);
    this.#become(change);
    return this.#upgrade;
  }
}

/** Why the upgrade was to be rolled back, and why that failed. */
function bothOf(first: ErrorReport | null, stuck: unknown): ErrorReport {
  const { message, evidence } = toErrorReport(stuck);
  const why = first === null ? [] : [`before that: ${first.code}: ${first.message}`, ...first.evidence];
  return toErrorReport(new OrkestrError('ORK_UPGRADE_STUCK', message, { evidence: [...evidence, ...why] }));
}
