import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Problem } from "./api/problem";
import { queryClient } from "./api/queries";
import { App } from "./App";
import { applyTheme } from "./frame/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/frame.css";

applyTheme();

// Whichever request is refused as not logged in, the session is looked at again, and the login form is shown.
const lookAgain = (error: unknown): void => {
  if (error instanceof Problem && error.status === 401 && queryClient.getQueryData(["session"]) !== null) {
    void queryClient.invalidateQueries({ queryKey: ["session"] });
  }
};
queryClient.getQueryCache().config.onError = lookAgain;
queryClient.getMutationCache().config.onError = (error) => lookAgain(error);

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
