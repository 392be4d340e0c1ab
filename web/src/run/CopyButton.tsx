/** Copies a text. */
import { Check, Copy } from "lucide-react";
import { useState } from "react";

export function CopyButton({ text, what }: { text: () => string; what: string }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <button
      type="button"
      className="button quiet icon copy"
      aria-label={isCopied ? "Copied" : `Copy ${what}`}
      title={`Copy ${what}`}
      onClick={() => {
        void navigator.clipboard.writeText(text()).then(() => setCopied(true));
        window.setTimeout(() => setCopied(false), 1_500);
      }}
    >
      {isCopied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
    </button>
  );
}
