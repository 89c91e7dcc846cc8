/** A cutover's receipt: what both sides of the flip did, and how the old one drained. */
import type { ComponentChildren } from 'preact';
import type { SideCount } from '../../../../protocol/flip-counts.ts';
import type { CutoverReceipt } from '../../../../protocol/steps.ts';
import { drainText, heldText, isQuiet, streamsText } from '../../../cli/text/receipt.ts';
import { Facts } from '../components/facts.tsx';
import { Age } from '../components/time.tsx';

export function Receipt({ receipt }: { receipt: CutoverReceipt }) {
  const { previous, current } = receipt;
  if (isQuiet(receipt)) return <QuietReceipt receipt={receipt} />;
  return (
    <>
      <dl class="receipt">
        <Tile name="Served by the old one" value={previous?.requests.served ?? null} />
        <Tile name="Served by the new one" value={current.requests.served} />
        <Tile name="Failed" value={receipt.failed} tone={receipt.failed === 0 ? 'good' : 'bad'} />
      </dl>
      <Sides old={previous} young={current} />
      <Facts
        of={[
          ['Flipped', <Age at={receipt.flippedAt} />],
          ['Generation', String(receipt.generation)],
          ['In flight at the flip', previous && String(previous.inFlightAtFlip)],
          ['Drained in', drainText(receipt)],
          ['Streams', streamsText(receipt)],
          ['Held', heldText(receipt)],
        ]}
      />
    </>
  );
}

/** Of a worker, which has no visitors. */
function QuietReceipt({ receipt }: { receipt: CutoverReceipt }) {
  return (
    <Facts
      of={[
        ['Took over', <Age at={receipt.flippedAt} />],
        ['Generation', String(receipt.generation)],
        ['Requests', 'none: it has no domain'],
      ]}
    />
  );
}

function Tile({ name, value, tone }: { name: string; value: number | null; tone?: 'good' | 'bad' }) {
  return (
    <div data-tone={tone}>
      <dt>{name}</dt>
      <dd>{number(value)}</dd>
    </div>
  );
}

const ROWS: readonly (readonly [string, (side: SideCount) => ComponentChildren])[] = [
  ['First request', ({ firstRequestAt }) => moment(firstRequestAt)],
  ['Last request', ({ lastRequestAt }) => moment(lastRequestAt)],
  ['Answered 5xx by the app', ({ errors }) => number(errors)],
  ['Broken off', ({ requests }) => number(requests.failed)],
];

function Sides({ old, young }: { old: SideCount | null; young: SideCount }) {
  return (
    <table class="plan sides">
      <caption class="unseen">Both sides of the flip</caption>
      <thead>
        <tr>
          <td />
          <th scope="col">Old</th>
          <th scope="col">New</th>
        </tr>
      </thead>
      <tbody>
        {ROWS.map(([name, show]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{old === null ? '–' : show(old)}</td>
            <td>{show(young)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const number = (value: number | null): string => value?.toLocaleString('en') ?? '–';

/** With milliseconds: a cutover takes less than a second. */
const CLOCK = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
});

function moment(at: string | null): ComponentChildren {
  if (at === null) return '–';
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {CLOCK.format(new Date(at))}
    </time>
  );
}
