/** An address that leads nowhere. */
import { Link } from "wouter";

export function NotFound() {
  return (
    <main className="empty stack">
      <h1>There is no such page</h1>
      <p className="muted">
        The address is not one of this server. <Link href="/runs">Go to the runs</Link>
      </p>
    </main>
  );
}
