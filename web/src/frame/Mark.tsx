/** The mark of Orchestrator: one step that two depend on. */
export function Mark({ size = 16 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="var(--accent)" strokeWidth="1.8" aria-hidden>
      <circle cx="3.5" cy="8" r="2" />
      <circle cx="12.5" cy="3.5" r="2" />
      <circle cx="12.5" cy="12.5" r="2" />
      <path d="M5.5 7.2 10.6 4.4M5.5 8.8l5.1 2.8" />
    </svg>
  );
}
