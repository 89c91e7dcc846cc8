/** Placeholder while data loads; becomes visible only after a delay. */
export function Loading() {
  return (
    <p class="loading faint" role="status">
      Loading …
    </p>
  );
}
