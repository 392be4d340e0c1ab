/** The keyboard shortcuts that work on this page. */
import { Fragment } from "react";

import { Dialog } from "../shared/Dialog";
import { shortcutsNow } from "../shared/keys";

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl className="shortcuts">
        {shortcutsNow().map(({ keys, meaning }) => (
          <Fragment key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <Fragment key={key}>
                  <kbd className="key">{key}</kbd>{" "}
                </Fragment>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </Fragment>
        ))}
        <dt>
          <kbd className="key">Esc</kbd>
        </dt>
        <dd>Close a dialog</dd>
      </dl>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose} autoFocus>
          Close
        </button>
      </div>
    </Dialog>
  );
}
