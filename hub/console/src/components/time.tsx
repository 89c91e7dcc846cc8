/** Times and durations that update themselves. */
import { useEffect, useState } from 'preact/hooks';
import { formatAge, formatDuration } from '../../../cli/text/format.ts';

/** The current time; updates every second while `moving`. */
function useNow(moving: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!moving) return undefined;
    const ticker = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(ticker);
  }, [moving]);
  return now;
}

export function Age({ at }: { at: string }) {
  const now = useNow(true);
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {formatAge(at, now)}
    </time>
  );
}

/** From `from` to `to`, or until now while `to` is null. */
export function Duration({ from, to }: { from: string | null; to: string | null }) {
  const now = useNow(to === null);
  if (from === null) return null;
  const end = to === null ? now : Date.parse(to);
  return <span class="number">{formatDuration(Math.max(0, end - Date.parse(from)))}</span>;
}
