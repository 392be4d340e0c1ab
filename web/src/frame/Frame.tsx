/** What is around every page: where it leads, who is logged in, and whether the server responds. */
import { useQuery } from "@tanstack/react-query";
import { CircleHelp, ListTree, LogOut, MessageCircleQuestionMark, Moon, Sun, Workflow } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Link, useLocation } from "wouter";

import { client, data, forgetResponses } from "../api/client";
import { Problem } from "../api/problem";
import { queryClient, useSession } from "../api/queries";
import { openQuestions, questionsQuery } from "../questions/open_questions";
import { useShortcuts } from "../shared/keys";
import { Help } from "./Help";
import { Mark } from "./Mark";
import { useTheme } from "./theme";

export function Frame({ children }: { children: ReactNode }) {
  const [, navigate] = useLocation();
  const [help, setHelp] = useState(false);
  useShortcuts([
    { keys: "g r", meaning: "Go to runs", run: () => navigate("/runs") },
    { keys: "g q", meaning: "Go to questions", run: () => navigate("/questions") },
    { keys: "g p", meaning: "Go to pipelines", run: () => navigate("/pipelines") },
    { keys: "?", meaning: "Show the keyboard shortcuts", run: () => setHelp(true) },
  ]);
  return (
    <div className="frame">
      <Sidebar onHelp={() => setHelp(true)} />
      <div className="content" id="content">
        <Connection />
        {children}
      </div>
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}

function Sidebar({ onHelp }: { onHelp: () => void }) {
  const session = useSession().data;
  const [isDark, toggleTheme] = useTheme();
  const waiting = useQuery(questionsQuery);
  const questions = waiting.data === undefined ? 0 : openQuestions(waiting.data.runs).length;
  const logOut = async (): Promise<void> => {
    await client.DELETE("/v1/session");
    forgetResponses();
    queryClient.clear();
    location.assign("/");
  };
  return (
    <header className="sidebar">
      <Link href="/runs" className="brand" aria-label="Orchestrator">
        <Mark /> <span>Orchestrator</span>
      </Link>
      <nav aria-label="Main" className="nav">
        <NavLink to="/runs" icon={<ListTree size={15} aria-hidden />}>
          Runs
        </NavLink>
        <NavLink to="/questions" icon={<MessageCircleQuestionMark size={15} aria-hidden />} count={questions}>
          Questions
        </NavLink>
        <NavLink to="/pipelines" icon={<Workflow size={15} aria-hidden />}>
          Pipelines
        </NavLink>
      </nav>
      <div className="sidebar-end">
        <span className="who grow truncate muted small" title={session?.name}>
          {session?.name}
        </span>
        <IconButton label="Keyboard shortcuts" onClick={onHelp}>
          <CircleHelp size={15} aria-hidden />
        </IconButton>
        <IconButton label={isDark ? "Light colours" : "Dark colours"} onClick={toggleTheme}>
          {isDark ? <Sun size={15} aria-hidden /> : <Moon size={15} aria-hidden />}
        </IconButton>
        <IconButton label="Log out" onClick={() => void logOut()}>
          <LogOut size={15} aria-hidden />
        </IconButton>
      </div>
    </header>
  );
}

function NavLink({ to, icon, count = 0, children }: { to: string; icon: ReactNode; count?: number; children: string }) {
  const [location] = useLocation();
  const isHere = location === to || location.startsWith(`${to}/`) || (to === "/pipelines" && location.startsWith("/start/"));
  return (
    <Link href={to} className="nav-link" aria-current={isHere ? "page" : undefined}>
      {icon}
      <span>{children}</span>
      {count > 0 && (
        <span className="count">
          {count}
          <span className="visually-hidden"> open</span>
        </span>
      )}
    </Link>
  );
}

function IconButton({ label, onClick, children }: { label: string; onClick: () => void; children: ReactNode }) {
  return (
    <button type="button" className="button quiet icon" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  );
}

const HEALTH_POLL = 5_000;

/** Says that the server does not respond, while it does not, and that it is being stopped. */
function Connection() {
  const session = useSession();
  const waiting = useQuery(questionsQuery);
  const health = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => data(client.GET("/healthz", { signal })),
    refetchInterval: HEALTH_POLL,
    retry: false,
  });
  const error = waiting.failureReason ?? waiting.error ?? session.error;
  const isLost = error instanceof Problem && (error.status === 0 || error.status >= 500);
  return (
    <div role="status">
      {!isLost && health.data?.draining === true && (
        <div className="offline">
          The server is being stopped or restarted. It starts no more runs; those in progress continue when it is back, and so
          does this page.
        </div>
      )}
      {isLost && (
        <div className="offline">
          {error.status === 0 ? "The server does not respond." : error.message} What you see may be out of date; this page
          reconnects by itself.
        </div>
      )}
    </div>
  );
}
