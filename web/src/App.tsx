/** The page: which of its parts is shown at which address. */
import { lazy, Suspense, useRef } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";

import { useSession } from "./api/queries";
import { Failure } from "./frame/Failure";
import { Frame } from "./frame/Frame";
import { LeaveGuard } from "./frame/LeaveGuard";
import { Login } from "./frame/Login";
import { NotFound } from "./frame/NotFound";
import { Unreachable } from "./frame/Unreachable";
import { RunPage } from "./run/RunPage";
import { RunsPage } from "./runs/RunsPage";

// The first page is in the first load; others follow when they are opened.
const PipelinesPage = lazy(async () => ({ default: (await import("./pipelines/PipelinesPage")).PipelinesPage }));
const PipelinePage = lazy(async () => ({ default: (await import("./pipelines/PipelinePage")).PipelinePage }));
const StartPage = lazy(async () => ({ default: (await import("./start/StartPage")).StartPage }));
const QuestionsPage = lazy(async () => ({ default: (await import("./questions/QuestionsPage")).QuestionsPage }));

export function App() {
  const session = useSession();
  const [location] = useLocation();
  const wasHere = useRef(false);
  const failure = useRef<unknown>(undefined); // it is forgotten by the query while that is tried again
  if (session.data) {
    wasHere.current = true;
  }
  if (session.data === null) {
    return <Login expired={wasHere.current} />;
  }
  if (session.failureReason !== null) {
    failure.current = session.failureReason;
  }
  if (session.data === undefined) {
    return <Unreachable error={failure.current} />;
  }
  return (
    <LeaveGuard>
      <Frame>
        <Failure key={location}>
          <Suspense fallback={null}>
            <Switch>
              <Route path="/">
                <Redirect to="/runs" replace />
              </Route>
              <Route path="/runs">
                <RunsPage />
              </Route>
              <Route path="/runs/:id">{({ id }) => <RunPage key={id} runId={id} />}</Route>
              <Route path="/questions">
                <QuestionsPage />
              </Route>
              <Route path="/pipelines">
                <PipelinesPage />
              </Route>
              <Route path="/pipelines/*">{(parts) => <PipelinePage key={parts["*"]} name={parts["*"]} />}</Route>
              <Route path="/start/*">{(parts) => <StartPage key={parts["*"]} name={parts["*"]} />}</Route>
              <Route>
                <NotFound />
              </Route>
            </Switch>
          </Suspense>
        </Failure>
      </Frame>
    </LeaveGuard>
  );
}
