/** Stands where something has not come yet; it shows itself only when that takes a while. */
export function Loading() {
  return (
    <p class="loading faint" role="status">
      Loading …
    </p>
  );
}
