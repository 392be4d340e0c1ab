/** Who was notified of the run: of what, when, and whether it reached them. */
import { CircleX, Clock, type LucideIcon, Send } from "lucide-react";

import type { RunView } from "../../api/types";
import { Prose } from "../../shared/Prose";
import { Time } from "../../shared/Time";

type Notice = RunView["notices"][number];

const ICONS: Record<Notice["state"], LucideIcon> = { pending: Clock, sent: Send, failed: CircleX };
const WORDS: Record<Notice["state"], string> = { pending: "is being sent to", sent: "sent to", failed: "not sent to" };
const TONES: Record<Notice["state"], string> = { pending: "state waiting", sent: "muted", failed: "state failed" };

export function Notices({ run }: { run: RunView }) {
  if (run.notices.length === 0) {
    return null;
  }
  return (
    <section>
      <h2>Notices</h2>
      <ul className="plain notices">
        {[...run.notices].reverse().map((notice) => (
          <NoticeLine key={notice.id} notice={notice} />
        ))}
      </ul>
    </section>
  );
}

function NoticeLine({ notice }: { notice: Notice }) {
  const Icon = ICONS[notice.state];
  return (
    <li data-notice={notice.state}>
      <div>{notice.title || notice.occasion}</div>
      <div className="row wrap small">
        <span className={TONES[notice.state]}>
          <Icon size={12} aria-hidden /> {WORDS[notice.state]}
        </span>
        <code>{notice.to}</code>
        <span className="muted">
          <Time at={notice.ended_at ?? notice.at} />
        </span>
      </div>
      {notice.error !== "" && (
        <div className="small state failed">
          <Prose text={notice.error} />
        </div>
      )}
    </li>
  );
}
