/**
 * Live view of a deployment on the terminal: steps with durations, their log lines, and the running step at the bottom.
 */
import type { DeploymentEvent, Deployment, Step } from '../api/schemas.ts';
import { statusStyle } from './output.ts';
import type { Output } from './output.ts';
import { formatDuration } from './text/format.ts';
import { LogLines, freshBytes } from '../../protocol/log-lines.ts';
import { safeLine } from '../../protocol/safe-text.ts';
import { STEP_MARKS, stepSummary } from './text/step-summary.ts';

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const CLEAR_LINE = '\r\u001b[2K';
const NAME_WIDTH = 'finalize'.length;

export interface FollowViewOptions {
  readonly now: () => number;
  /** The deployment, if it is known before its first event. */
  readonly deployment?: Deployment;
  /** Only the log of this step, without steps; otherwise both. */
  readonly logsOnly?: boolean;
  readonly step?: Step['name'] | undefined;
}

/** For a queued or a stalled deployment: `Queued: waiting for the host vps-1, which is offline.` */
export function waitingLine({ status, waitingFor }: Deployment): string {
  const state = status === 'queued' ? 'Queued' : 'Running';
  return waitingFor === undefined ? `${state}: it has not started yet.` : `${state}: waiting for ${waitingFor}.`;
}

export class FollowView {
  /** The last known deployment. */
  deployment: Deployment | undefined;
  readonly #output: Output;
  readonly #options: FollowViewOptions;
  readonly #logs = new Map<Step['name'], { lines: LogLines; bytes: number }>();
  readonly #shown = new Map<Step['name'], Step['status']>();
  #running: { name: Step['name']; since: number } | undefined;
  #waitsFor: string | undefined;
  #frame = 0;
  #statusLine = false;

  constructor(output: Output, options: FollowViewOptions) {
    this.#output = output;
    this.#options = options;
    this.deployment = options.deployment;
  }

  /** Shows an event. With --json it is printed unchanged. */
  show(event: DeploymentEvent): void {
    if (event.kind === 'status') this.deployment = event.deployment;
    if (this.#output.json) {
      if (!this.#options.logsOnly || (event.kind === 'log' && this.#wants(event.step))) this.#output.object(event);
      return;
    }
    if (event.kind === 'status') this.#waiting(event.deployment);
    else if (event.kind === 'log') this.#log(event.step, event.offset, event.data);
    else if (event.kind === 'step') this.#step(event.step);
    else if (event.kind === 'end') this.close();
  }

  /** Redraws the line of the running step; called by a timer. */
  tick(): void {
    if (!this.#output.live || this.#options.logsOnly || this.#running === undefined) return;
    const { name, since } = this.#running;
    const frame = SPINNER[this.#frame++ % SPINNER.length] ?? '';
    const text = `${frame} ${name.padEnd(NAME_WIDTH)}  ${formatDuration(Math.max(0, this.#options.now() - since))}`;
    this.#output.raw(`${CLEAR_LINE}${this.#output.style('cyan', text)}`);
    this.#statusLine = true;
  }

  /** Prints a remark without breaking the view. */
  note(text: string): void {
    this.#clear();
    this.#output.note(text);
  }

  /** Ends the view: prints incomplete lines. */
  close(): void {
    for (const name of this.#logs.keys()) this.#endLog(name);
    this.#running = undefined;
    this.#clear();
  }

  #waiting(deployment: Deployment): void {
    const reason = deployment.waitingFor;
    if (reason !== undefined && reason !== this.#waitsFor) this.#remark(waitingLine(deployment));
    this.#waitsFor = reason;
  }

  #step(step: Step): void {
    if (step.status !== 'running') this.#endLog(step.name);
    this.#running = step.status === 'running' ? { name: step.name, since: Date.parse(step.startedAt) } : undefined;
    if (this.#options.logsOnly || this.#shown.get(step.name) === step.status) return;
    this.#shown.set(step.name, step.status);
    // On a terminal the spinner shows a running step; elsewhere a line does.
    if (step.status === 'running' && this.#output.live) return;
    const time = step.ms === null ? '' : formatDuration(step.ms);
    const mark = this.#output.style(statusStyle(step.status), STEP_MARKS[step.status]);
    const summary = safeLine(stepSummary(step), false);
    this.#print(`${mark} ${step.name.padEnd(NAME_WIDTH)}  ${time.padStart(11)}  ${summary}`.trimEnd());
  }

  #log(name: Step['name'], offset: number, data: string): void {
    if (!this.#wants(name)) return;
    let log = this.#logs.get(name);
    if (log === undefined) this.#logs.set(name, (log = { lines: new LogLines(), bytes: 0 }));
    const bytes = freshBytes(data, offset, log.bytes);
    log.bytes = Math.max(log.bytes, offset) + bytes.length;
    for (const line of log.lines.push(bytes)) this.#logLine(line);
  }

  #endLog(name: Step['name']): void {
    for (const line of this.#logs.get(name)?.lines.end() ?? []) this.#logLine(line);
  }

  #logLine(line: string): void {
    const text = this.#output.live ? safeLine(line, this.#output.colors) : line;
    this.#print(this.#options.logsOnly ? text : `  ${this.#output.style('dim', '│')} ${text}`);
  }

  #wants(name: Step['name']): boolean {
    return this.#options.step === undefined || this.#options.step === name;
  }

  /** A log without steps may be redirected to a file, so remarks go to stderr. */
  #remark(text: string): void {
    if (this.#options.logsOnly) this.note(text);
    else this.#print(text);
  }

  #print(line: string): void {
    this.#clear();
    this.#output.line(line);
  }

  #clear(): void {
    if (this.#statusLine) this.#output.raw(CLEAR_LINE);
    this.#statusLine = false;
  }
}
